// The log of answers: any bytes as a database, or a good log with some of its bytes changed.
#include <unistd.h>
#include <crease/answer_log.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/fuzz/fuzzed_file.hpp"

namespace {

constexpr crease::Index kInputs = 2;
constexpr crease::Index kOutputs = 1;
constexpr std::string_view kDatabase = "SQLite format 3";

crease::LogIdentity identity() {
  return {"a box", kInputs, kOutputs, {{"seed", "0"}}, "no budget"};
}

/// A folder of this process, in memory where there is one for that: SQLite waits for a disk.
struct Folder {
  Folder() {
    const bool in_memory = std::filesystem::is_directory("/dev/shm");
    path = std::string(in_memory ? "/dev/shm" : "/tmp") + "/crease-log-fuzz-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) std::abort();
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

std::string file_in(const char* name) {
  static const Folder folder;
  return folder.path + "/" + name;
}

/// Two batches of two answers each.
std::string good_log() {
  const std::string path = file_in("good");
  {
    crease::AnswerLog log(path, identity());
    const crease::HostMatrix answers = {{1.5}, {-2}};
    log.keep({1, 2}, 0, {{3, 4}, {5, 6}}, answers, 0);
    log.keep({7, 8}, 0, {{9, 10}, {11, 12}}, answers, 1);
  }
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Three bytes of input change one byte: its place, then its value.
std::string changed(std::string log, std::string_view changes) {
  for (std::size_t i = 0; i + 2 < changes.size(); i += 3) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(changes[i + at]); };
    log[(byte(0) + 256u * byte(1)) % log.size()] = changes[i + 2];
  }
  return log;
}

template <class Read>
void refused_or_read(const std::string& bytes, Read read) {
  const std::string path = file_in("fuzzed");
  for (const char* rest : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(path + rest);
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    read(path);
  } catch (const crease::FileError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string good = good_log();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string bytes =
      input.starts_with(kDatabase) ? std::string(input) : changed(good, input);
  refused_or_read(bytes, [](const std::string& path) { (void)crease::summarize_log(path); });
  refused_or_read(bytes, [](const std::string& path) {
    crease::PastAnswers past;
    past.add(path, identity());
    crease::fuzz::promise(past.find({3, 4}) == nullptr || past.size() > 0,
                          "what is found is there");
  });
  refused_or_read(bytes, [](const std::string& path) {
    crease::AnswerLog log(path, identity());
    if (const auto kept = log.find({1, 2}, 0)) {
      crease::fuzz::promise(kept->answers.cols() == kOutputs && kept->answers.rows() >= 1,
                            "answers are as wide as the box");
    }
  });
  return 0;
}
