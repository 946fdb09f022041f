// The program: verbs, and one line on stderr for everything that is refused.
#include <fmt/format.h>

#include <exception>
#include <new>
#include <string>

#include "src/cli/verbs.hpp"

namespace {

/// One line whatever the text holds: names from files may have line breaks in them.
int refuse(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  fmt::print(stderr, "crease: {}\n", text);
  return crease::kExitRefused;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app("Learns networks from the answers of a black box, or from examples.", "crease");
    app.set_version_flag("--version", std::string("crease ") + crease::kVersion);
    int exit_code = crease::kExitOk;
    crease::add_make(app, exit_code);
    crease::add_learn(app, exit_code);
    crease::add_verify(app, exit_code);
    crease::add_show(app, exit_code);
    crease::add_evaluate(app, exit_code);
    crease::add_compress(app, exit_code);
    crease::add_draw(app, exit_code);
    crease::add_fit(app, exit_code);
    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& help) {
      return app.exit(help);
    } catch (const CLI::ParseError& error) {
      if (!app.get_subcommands().empty()) return refuse(error.what());
    }
    if (app.get_subcommands().empty()) {
      return refuse(
          "expected a verb: make, learn, verify, show, evaluate, compress, draw or fit (or "
          "--help)");
    }
    return exit_code;
  } catch (const std::bad_alloc&) {
    return refuse("not enough memory for networks and points of this size");
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
}
