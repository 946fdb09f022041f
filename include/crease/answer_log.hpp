// AnswerLog: every answer that was paid for, on disk before it is used; and the oracle that keeps
// and replays them.
#pragma once

#include <crease/oracle.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace crease {

/// 128 bits (XXH3) that stand for a question, or for the numbers of one point.
struct Digest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  friend bool operator==(const Digest&, const Digest&) = default;
};

/// Whose answers a log holds. Everything here must be equal for a log to serve again.
struct LogIdentity {
  std::string target;  // the black box: a hash of its weights, its command line, ...
  Index inputs = 0;    // d
  Index outputs = 0;   // columns of an answer: p, or 2 p with standard deviations
  // What else decides the bits of a run, name and value: seed, version, device, options, ...
  std::vector<std::pair<std::string, std::string>> run;
  // What may differ from one run on a log to the next, although it decides what is asked: a budget.
  // Runs with equal texts must ask the same; empty: not even those.
  std::string control;
};

/// Answers of one question.
struct KeptAnswers {
  HostMatrix answers;  // [n, p]
  Index reused = 0;    // of its rows: taken from another log, not asked
};

/// What a log holds, for people.
struct LogSummary {
  struct Run {
    std::string control;
    std::string ended;  // an outcome; empty where the run was killed or still runs
  };
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<Run> runs;
  Index batches = 0;
  Index answers = 0;  // rows
  Index reused = 0;   // of them
};

/// An SQLite database of questions (as digests) and answers. A batch is on the disk, in one
/// transaction (WAL, synchronous=FULL), when keep() returns: it survives kill -9 and a power cut.
/// The space for it is allocated before the box is asked, so that a full disk costs no answer. One
/// process at a time.
class AnswerLog {
 public:
  /// Opens or creates. Throws FileError: not writable, in use by another process, not a log, of a
  /// newer format, damaged, or with answers of another target or run (naming what differs); then
  /// the file is as it was.
  AnswerLog(const std::string& path, const LogIdentity& identity);
  ~AnswerLog();
  AnswerLog(const AnswerLog&) = delete;
  AnswerLog& operator=(const AnswerLog&) = delete;

  const std::string& path() const;

  /// The answers that a question got when it was asked for the (occurrence + 1)-th time in a run;
  /// none if it never was. Throws FileError where they are damaged.
  std::optional<KeptAnswers> find(const Digest& question, Index occurrence);

  /// To be called before a new question: a run that is deterministic has by now asked everything
  /// that earlier ones with its control did. Throws FileError naming the batch if not.
  void require_all_found() const;

  /// Allocates the space of so many answers. Throws FileError (disk full), and then nothing may be
  /// asked.
  void reserve(Index rows);

  /// Durable when it returns. points: a digest of each row's point. FileError.
  void keep(const Digest& question, Index occurrence, const std::vector<Digest>& points,
            ConstHostView answers, Index reused);

  /// From here on the run asks what an uninterrupted one would not ask next: its certificate after
  /// a stop.
  void interrupted();

  /// How the run ended. Never throws: it is only for people.
  void end(const std::string& outcome) noexcept;

  Index answers() const;   // in the log
  Index replayed() const;  // given out by find() since it was opened

  class Impl;  // the database

 private:
  std::unique_ptr<Impl> impl_;
};

/// Whether a file begins as a log does (it may still be damaged).
bool is_answer_log(const std::string& path);

/// Throws FileError as AnswerLog does.
LogSummary summarize_log(const std::string& path);

/// Answers of logs, by point.
class PastAnswers {
 public:
  /// Reads a log of the same target, inputs and outputs; where two have a point, the first one's
  /// answer counts. Throws FileError, naming what differs.
  void add(const std::string& path, const LogIdentity& identity);

  /// The answer [p] at a point; null where there is none.
  const double* find(const Digest& point) const;
  Index size() const { return static_cast<Index>(places_.size()); }

 private:
  struct Hash {
    std::size_t operator()(const Digest& digest) const {
      return static_cast<std::size_t>(digest.low);
    }
  };
  std::unordered_map<Digest, std::size_t, Hash> places_;
  std::vector<double> answers_;
};

/// Asks `oracle` what neither the log nor the past knows, and keeps every answer before it gives it
/// out. Questions go on as they came (points, lines, fans), so the answers have the bits that they
/// would have without a log; only of a batch that `past` knows in part, the rest is asked as
/// points. Answers that are not finite are given out and not kept. What the log throws ends a run
/// as a failing oracle does.
///
/// log, past  may be null; outlive the oracle
/// batch      > 0: points are asked, and kept, in parts of at most so many; 0: as they come
std::unique_ptr<Oracle> make_logged_oracle(std::unique_ptr<Oracle> oracle, AnswerLog* log,
                                           const PastAnswers* past = nullptr, Index batch = 0);

}  // namespace crease
