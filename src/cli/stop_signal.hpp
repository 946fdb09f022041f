// SIGINT and SIGTERM as a polite request.
#pragma once

namespace crease {

/// From here on the first SIGINT or SIGTERM only sets a flag; the second one ends the program.
void catch_stop_signals();

/// Whether one came.
bool stop_requested();

}  // namespace crease
