// The tables of a log, the checks of its header, and its rows.
#include "src/files/log_database.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace crease {
namespace {

static_assert(std::endian::native == std::endian::little, "logs hold little-endian numbers");

constexpr Index kApplication = 0x63726561;  // "crea", in the file's header
constexpr int kWait = 2000;                 // milliseconds for another reader

// The big columns stand last: then the others are read without them.
constexpr const char* kTables = R"(
CREATE TABLE facts(place INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE runs(id INTEGER PRIMARY KEY, control TEXT NOT NULL, ended TEXT NOT NULL);
CREATE TABLE batches(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, aside INTEGER NOT NULL,
  question BLOB NOT NULL, occurrence INTEGER NOT NULL, rows INTEGER NOT NULL,
  reused INTEGER NOT NULL, sum INTEGER NOT NULL, points BLOB NOT NULL, answers BLOB NOT NULL);
)";

const std::string* value_of(const LogFacts& facts, const std::string& name) {
  const auto found = std::find_if(facts.begin(), facts.end(),
                                  [&](const auto& fact) { return fact.first == name; });
  return found == facts.end() ? nullptr : &found->second;
}

void insert_facts(Database& database, const LogFacts& facts) {
  Statement insert(database, "INSERT INTO facts(name, value) VALUES(?1, ?2)");
  for (const auto& [name, value] : facts) insert.bind(1, name).bind(2, value).step();
}

}  // namespace

void create_log(Database& database, const LogFacts& facts) {
  database.run("BEGIN IMMEDIATE");
  database.run(kTables);
  insert_facts(database, facts);
  database.run(("PRAGMA application_id = " + std::to_string(kApplication)).c_str());
  database.run(("PRAGMA user_version = " + std::to_string(kLogFormat)).c_str());
  database.run("COMMIT");
}

void begin_anew(Database& database, const LogFacts& facts) {
  database.run("BEGIN IMMEDIATE; DELETE FROM facts; DELETE FROM runs");
  insert_facts(database, facts);
  database.run("COMMIT");
}

bool is_created(Database& database) {
  const Index tables = database.number("SELECT count(*) FROM sqlite_schema");
  const Index application = database.number("PRAGMA application_id");
  if (tables == 0 && application == 0) return false;
  if (application != kApplication) {
    throw FileError(database.path() + " is a database, but not a log of answers");
  }
  const Index format = database.number("PRAGMA user_version");
  if (format != kLogFormat) {
    throw FileError(database.path() + " is a log of format " + std::to_string(format) +
                    "; this crease reads format " + std::to_string(kLogFormat));
  }
  return true;
}

LogFacts read_facts(Database& database) {
  LogFacts facts;
  Statement all(database, "SELECT name, value FROM facts ORDER BY place");
  while (all.step()) facts.emplace_back(all.text(0), all.text(1));
  return facts;
}

LogFacts facts_of(const LogIdentity& identity, bool whole) {
  LogFacts facts = {{"target", identity.target},
                    {"inputs", std::to_string(identity.inputs)},
                    {"outputs", std::to_string(identity.outputs)}};
  if (whole) facts.insert(facts.end(), identity.run.begin(), identity.run.end());
  return facts;
}

void require_facts(const std::string& path, const LogFacts& kept, const LogFacts& wanted) {
  for (const auto& [name, value] : wanted) {
    const std::string* there = value_of(kept, name);
    if (there != nullptr && *there == value) continue;
    throw FileError(path + " is the log of another " + name + ": expected \"" + value +
                    "\", there it is " + (there == nullptr ? "not named" : '"' + *there + '"'));
  }
}

std::unique_ptr<Database> open_log(const std::string& path) {
  if (!is_answer_log(path)) throw FileError(path + " is not a log of answers");
  auto database = std::make_unique<Database>(path, SQLITE_OPEN_READWRITE, kWait);
  database->run("PRAGMA trusted_schema = OFF");
  database->run("PRAGMA cell_size_check = ON");
  database->run("PRAGMA locking_mode = EXCLUSIVE");
  if (!is_created(*database)) throw FileError(path + " is not a log of answers");
  return database;
}

bool is_answer_log(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  char header[72] = {};
  std::ifstream(path, std::ios::binary).read(header, sizeof header);
  const auto byte = [&](int i) {
    return static_cast<Index>(static_cast<unsigned char>(header[i]));
  };
  const Index application = byte(68) << 24 | byte(69) << 16 | byte(70) << 8 | byte(71);
  return std::memcmp(header, "SQLite format 3", 16) == 0 && application == kApplication;
}

Index checksum(const Digest* points, const double* answers, Index rows, Index outputs) {
  const auto n = static_cast<std::size_t>(rows);
  const XXH64_hash_t of_points = XXH3_64bits(points, n * sizeof(Digest));
  const auto bytes = n * static_cast<std::size_t>(outputs) * sizeof(double);
  return static_cast<Index>(XXH3_64bits_withSeed(answers, bytes, of_points));
}

Index most_rows(Database& database, Index outputs) {
  return database.number("PRAGMA page_count") * database.number("PRAGMA page_size") /
         row_bytes(outputs);
}

void read_part(Database& database, Statement& by_id, const LogPart& part, Index outputs,
               Digest* points, double* answers) {
  const auto damaged = [&](const char* what) {
    throw FileError(database.path() + " is damaged: batch " + std::to_string(part.id) + " " + what);
  };
  by_id.bind(1, part.id);
  if (!by_id.step()) damaged("is gone");
  const auto point_bytes = by_id.blob(0);
  const auto answer_bytes = by_id.blob(1);
  const auto rows = static_cast<std::size_t>(part.rows);
  if (point_bytes.size() != rows * sizeof(Digest) ||
      answer_bytes.size() != rows * static_cast<std::size_t>(outputs) * sizeof(double)) {
    damaged("does not have the size of its answers");
  }
  std::memcpy(points, point_bytes.data(), point_bytes.size());
  std::memcpy(answers, answer_bytes.data(), answer_bytes.size());
  const bool same = checksum(points, answers, part.rows, outputs) == by_id.number(2);
  by_id.step();
  if (!same) damaged("is not what was written");
}

}  // namespace crease
