// What the database of a log looks like, and how it is opened and checked.
#pragma once

#include <crease/answer_log.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/files/sqlite.hpp"

namespace crease {

using LogFacts = std::vector<std::pair<std::string, std::string>>;

inline constexpr Index kLogFormat = 1;

/// Creates the tables in an empty database.
void create_log(Database& database, const LogFacts& facts);

/// Other facts for a log without batches; its runs are forgotten.
void begin_anew(Database& database, const LogFacts& facts);

/// False on an empty database. Throws FileError unless it is a log of this format.
bool is_created(Database& database);

LogFacts read_facts(Database& database);

/// Target, inputs, outputs; and what else decides a run, where `whole`.
LogFacts facts_of(const LogIdentity& identity, bool whole);

/// Throws FileError naming the first of `wanted` that a log has otherwise or not at all.
void require_facts(const std::string& path, const LogFacts& kept, const LogFacts& wanted);

/// An existing log, for reading.
std::unique_ptr<Database> open_log(const std::string& path);

/// Rows of the table `batches`: parts of the answers of one question.
struct LogPart {
  Index id = 0;
  Index rows = 0;
};

/// Bytes of one row of answers, with the digest of its point.
inline Index row_bytes(Index outputs) {
  return outputs * static_cast<Index>(sizeof(double)) + static_cast<Index>(sizeof(Digest));
}

/// More answers than this have no room in the file: such a number is damage.
Index most_rows(Database& database, Index outputs);

/// Points and answers of one part, checked against what was written. Throws FileError.
void read_part(Database& database, Statement& by_id, const LogPart& part, Index outputs,
               Digest* points, double* answers);

/// The statement that read_part() wants.
inline constexpr const char* kPartById = "SELECT points, answers, sum FROM batches WHERE id = ?1";

/// What `sum` is of a part.
Index checksum(const Digest* points, const double* answers, Index rows, Index outputs);

}  // namespace crease
