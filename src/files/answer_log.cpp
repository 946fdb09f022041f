// The log that a run writes: what is found, what is kept, and the space for what comes next.
#include <crease/answer_log.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "src/files/log_database.hpp"

namespace crease {
namespace {

constexpr Index kPage = 4096;                  // SQLite's pages ...
constexpr Index kFrame = 24;                   // ... have this header in its write-ahead log,
constexpr Index kWalHeader = 32;               // which has this one
constexpr Index kOnPage = 4092;                // of a long row, on one page
constexpr Index kSparePages = 64;              // header, tree and free list of one transaction
constexpr Index kStepBytes = Index{4} << 20;   // space is allocated in steps
constexpr Index kCheckpoint = 1000;            // pages in the write-ahead log before they are moved
constexpr Index kPartBytes = Index{64} << 20;  // of a batch in one row of the database

struct Entry {
  std::vector<LogPart> parts;
  Index rows = 0;
  Index reused = 0;
};

using Key = std::pair<std::pair<std::uint64_t, std::uint64_t>, Index>;

Key key_of(const Digest& question, Index occurrence) {
  return {{question.high, question.low}, occurrence};
}

int count_pages(void* frames, sqlite3*, const char*, int pages) {
  *static_cast<Index*>(frames) = pages;
  return SQLITE_OK;
}

}  // namespace

class AnswerLog::Impl {
 public:
  Impl(const std::string& path, const LogIdentity& identity)
      : database_(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 0), outputs_(identity.outputs) {
    require(identity.inputs >= 1 && outputs_ >= 1,
            "AnswerLog: inputs and outputs must be at least 1");
    database_.run("PRAGMA trusted_schema = OFF");
    database_.run("PRAGMA cell_size_check = ON");
    // No other process, and no shared memory file that could find no room.
    database_.run("PRAGMA locking_mode = EXCLUSIVE");
    const bool there = is_created(database_);
    const LogFacts facts = facts_of(identity, true);
    const bool empty = there && database_.number("SELECT count(*) FROM batches") == 0;
    if (there && !empty) require_facts(path, read_facts(database_), facts);
    if (sqlite3_db_readonly(database_.handle(), "main") != 0) {
      throw FileError("cannot write " + path + ": it is read-only");
    }
    database_.run("PRAGMA page_size = 4096");
    database_.run("PRAGMA synchronous = FULL");
    database_.run("PRAGMA cache_spill = OFF");
    if (!there) create_log(database_, facts);
    // Of a run that was refused before its first answer: it is nobody's log yet.
    if (empty && read_facts(database_) != facts) begin_anew(database_, facts);
    if (database_.text("PRAGMA journal_mode = WAL") != "wal") {
      throw FileError("cannot write " + path + ": its place allows no write-ahead log");
    }
    sqlite3_wal_hook(database_.handle(), count_pages, &frames_);
    read(identity.control);
    begin_run(identity.control);
    opened_ = true;
  }

  ~Impl() {
    if (!opened_) return;
    // One ordinary file; where that fails, the next to open it recovers.
    sqlite3_exec(database_.handle(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr);
  }

  const std::string& path() const { return database_.path(); }
  Index answers() const { return answers_; }
  Index replayed() const { return replayed_; }
  void interrupted() { aside_ = true; }

  std::optional<KeptAnswers> find(const Digest& question, Index occurrence) {
    const auto found = entries_.find(key_of(question, occurrence));
    if (found == entries_.end()) return std::nullopt;
    pending_.erase(key_of(question, 0).first);
    const Entry& entry = found->second;
    KeptAnswers kept{HostMatrix(entry.rows, outputs_), entry.reused};
    Statement by_id(database_, kPartById);
    std::vector<Digest> points;
    Index row = 0;
    for (const LogPart& part : entry.parts) {
      points.resize(static_cast<std::size_t>(part.rows));
      read_part(database_, by_id, part, outputs_, points.data(), kept.answers.row(row));
      row += part.rows;
    }
    replayed_ += entry.rows;
    return kept;
  }

  void require_all_found() const {
    if (pending_.empty()) return;
    const auto first =
        std::min_element(pending_.begin(), pending_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    throw FileError(path() + " is the log of another run: this one asks otherwise at batch " +
                    std::to_string(first->second) +
                    "; nothing was asked (--reuse takes answers from it)");
  }

  void reserve(Index rows) {
    const Index bytes = rows * row_bytes(outputs_);
    const Index pages = bytes / kOnPage + kSparePages + 8 * (bytes / kPartBytes + 1);
    const Index from = kWalHeader + frames_ * (kPage + kFrame);
    const Index to = from + pages * (kPage + kFrame);
    if (to <= reserved_) return;
    // A step ahead, or as much as must be.
    const Index start = std::max(from, reserved_);
    const Index stepped = to + kStepBytes;
    if (allocate(start, stepped) == 0) {
      reserved_ = stepped;
      return;
    }
    const int error = allocate(start, to);
    if (error == 0) {
      reserved_ = to;
      return;
    }
    throw FileError("no room for the answers of the next batch in " + path() + ": " +
                    std::strerror(error) + "; " + std::to_string(answers_) +
                    " answers are kept there: make room and run the same again");
  }

  void keep(const Digest& question, Index occurrence, const std::vector<Digest>& points,
            ConstHostView answers, Index reused) {
    require(answers.cols == outputs_ && answers.ld == outputs_ &&
                static_cast<Index>(points.size()) == answers.rows && answers.rows >= 1,
            "AnswerLog: answers must be [n, p] without gaps, n >= 1, with n points");
    try {
      database_.run("BEGIN IMMEDIATE");
      Entry entry = write(question, occurrence, points, answers, reused);
      database_.run("COMMIT");
      entries_[key_of(question, occurrence)] = std::move(entry);
    } catch (const FileError& error) {
      sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
      throw FileError(std::string(error.what()) + "; " + std::to_string(answers_) +
                      " answers are kept, the last " + std::to_string(answers.rows) +
                      " could not be");
    }
    answers_ += answers.rows;
    // Moving pages into the database itself may fail for want of room: then they stay where they
    // are, which is as good.
    if (frames_ >= kCheckpoint) {
      sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                nullptr);
    }
  }

  void end(const std::string& outcome) noexcept {
    try {
      Statement(database_, "UPDATE runs SET ended = ?1 WHERE id = ?2")
          .bind(1, outcome)
          .bind(2, run_)
          .step();
    } catch (...) {
    }
  }

 private:
  /// What is there: questions, their places, and which of them this run must come by.
  void read(const std::string& control) {
    const Index most = most_rows(database_, outputs_);
    Statement all(database_,
                  "SELECT b.id, b.question, b.occurrence, b.rows, b.reused, b.aside, r.control "
                  "FROM batches AS b JOIN runs AS r ON r.id = b.run ORDER BY b.id");
    while (all.step()) {
      Digest question;
      const auto bytes = all.blob(1);
      const Index rows = all.number(3);
      const Index reused = all.number(4);
      if (bytes.size() != sizeof question || rows < 1 || rows > most || reused < 0 ||
          reused > rows) {
        throw FileError(path() + " is damaged: batch " + std::to_string(all.number(0)) +
                        " has no question");
      }
      std::memcpy(&question, bytes.data(), sizeof question);
      Entry& entry = entries_[key_of(question, all.number(2))];
      entry.parts.push_back({all.number(0), rows});
      entry.rows += rows;
      entry.reused += reused;
      answers_ += rows;
      if (!control.empty() && all.number(5) == 0 && all.text(6) == control) {
        pending_.emplace(key_of(question, 0).first, all.number(0));
      }
    }
  }

  void begin_run(const std::string& control) {
    Statement(database_, "INSERT INTO runs(control, ended) VALUES(?1, '')").bind(1, control).step();
    run_ = sqlite3_last_insert_rowid(database_.handle());
  }

  Entry write(const Digest& question, Index occurrence, const std::vector<Digest>& points,
              ConstHostView answers, Index reused) {
    Entry entry;
    const Index most = std::max<Index>(1, kPartBytes / row_bytes(outputs_));
    Statement insert(database_,
                     "INSERT INTO batches(run, aside, question, occurrence, rows, reused, sum, "
                     "points, answers) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    for (Index first = 0; first < answers.rows; first += most) {
      const Index rows = std::min(most, answers.rows - first);
      const auto n = static_cast<std::size_t>(rows);
      const Digest* part = points.data() + first;
      const double* values = answers.data + first * outputs_;
      const Index of_these = std::min(reused - entry.reused, rows);
      insert.bind(1, run_).bind(2, aside_ ? 1 : 0).bind_blob(3, &question, sizeof question);
      insert.bind(4, occurrence).bind(5, rows).bind(6, of_these);
      insert.bind(7, checksum(part, values, rows, outputs_));
      insert.bind_blob(8, part, n * sizeof(Digest));
      insert.bind_blob(9, values, n * static_cast<std::size_t>(outputs_) * sizeof(double));
      insert.step();
      entry.parts.push_back({sqlite3_last_insert_rowid(database_.handle()), rows});
      entry.rows += rows;
      entry.reused += of_these;
    }
    return entry;
  }

  /// Blocks for the bytes from `start` to `end` of the write-ahead log: zeros there are no frames,
  /// and overwriting them needs no room. Returns an error number.
  int allocate(Index start, Index end) const {
    const char* wal = sqlite3_filename_wal(sqlite3_db_filename(database_.handle(), "main"));
    const int descriptor = open(wal, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return errno;
    const int error = posix_fallocate(descriptor, start, end - start);
    close(descriptor);
    return error;
  }

  Database database_;
  Index outputs_;
  bool opened_ = false;
  bool aside_ = false;
  Index run_ = 0;
  Index frames_ = 0;    // in the write-ahead log, at most
  Index reserved_ = 0;  // its bytes that are allocated, from the start
  Index answers_ = 0;
  Index replayed_ = 0;
  std::map<Key, Entry> entries_;
  std::map<Key::first_type, Index> pending_;  // question, its batch
};

AnswerLog::AnswerLog(const std::string& path, const LogIdentity& identity)
    : impl_(std::make_unique<Impl>(path, identity)) {}
AnswerLog::~AnswerLog() = default;

const std::string& AnswerLog::path() const {
  return impl_->path();
}
std::optional<KeptAnswers> AnswerLog::find(const Digest& question, Index occurrence) {
  return impl_->find(question, occurrence);
}
void AnswerLog::require_all_found() const {
  impl_->require_all_found();
}
void AnswerLog::reserve(Index rows) {
  impl_->reserve(rows);
}
void AnswerLog::keep(const Digest& question, Index occurrence, const std::vector<Digest>& points,
                     ConstHostView answers, Index reused) {
  impl_->keep(question, occurrence, points, answers, reused);
}
void AnswerLog::interrupted() {
  impl_->interrupted();
}
void AnswerLog::end(const std::string& outcome) noexcept {
  impl_->end(outcome);
}
Index AnswerLog::answers() const {
  return impl_->answers();
}
Index AnswerLog::replayed() const {
  return impl_->replayed();
}

}  // namespace crease
