// Where a verb may write.
#pragma once

#include <string>

namespace crease {

/// Whether two names are the same file, or would be; an empty name is none.
bool same_place(const std::string& a, const std::string& b);

/// Everything about the files to write that can be refused before any work: `out` must be writable
/// as tensors and must not be `input` (empty: no file); `report`, if any, writable and neither of
/// them. `role` stands before the input's name in the message. Throws BadInput or FileError.
void require_places(const std::string& input, const std::string& role, const std::string& out,
                    const std::string& report);

}  // namespace crease
