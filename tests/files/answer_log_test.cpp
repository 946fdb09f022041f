// A log of answers: what is found again, what is refused, and what survives.
#include <crease/answer_log.hpp>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <memory>

#include "tests/support/full_disk.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

LogIdentity identity(Index outputs = 2) {
  LogIdentity identity;
  identity.target = "network 1234";
  identity.inputs = 3;
  identity.outputs = outputs;
  identity.run = {{"seed", "7"}, {"version", "0.1.0"}};
  identity.control = "no budget";
  return identity;
}

Digest digest(Index i) {
  return {static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15u + 1, static_cast<std::uint64_t>(i)};
}

std::vector<Digest> points(Index batch, Index rows) {
  std::vector<Digest> points;
  for (Index i = 0; i < rows; ++i) points.push_back(digest(1000 * (batch + 1) + i));
  return points;
}

/// Answers that tell their batch, row and column.
HostMatrix answers(Index batch, Index rows, Index outputs = 2) {
  HostMatrix answers(rows, outputs);
  for (Index i = 0; i < rows; ++i) {
    for (Index o = 0; o < outputs; ++o) {
      answers(i, o) = static_cast<double>(batch) + 0.1 * static_cast<double>(i * outputs + o);
    }
  }
  return answers;
}

Index rows_of(Index batch) {
  return 1 + 7 * (batch % 5);
}

void keep(AnswerLog& log, Index batch) {
  const Index rows = rows_of(batch);
  log.reserve(rows);
  log.keep(digest(batch), 0, points(batch, rows), answers(batch, rows), 0);
}

/// The number of batches 0, 1, ... that are there, each with its own answers, and none beyond.
Index prefix(AnswerLog& log, Index batches) {
  Index there = 0;
  Index rows = 0;
  while (there < batches) {
    const auto kept = log.find(digest(there), 0);
    if (!kept) break;
    EXPECT_TRUE(same_bits(kept->answers, answers(there, rows_of(there))));
    rows += rows_of(there++);
  }
  EXPECT_EQ(log.answers(), rows);
  return there;
}

template <class Function>
std::string refusal(const Function& function) {
  try {
    function();
  } catch (const FileError& error) {
    return error.what();
  }
  return "not refused";
}

class AnswerLogTest : public ::testing::Test {
 protected:
  std::string file(const std::string& name = "log") const { return folder_.file(name); }
  void sql(const char* statements) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, statements, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  std::string refused(const LogIdentity& wanted = identity()) const {
    const std::string before = read_bytes(file());
    const std::string words = refusal([&] { AnswerLog(file(), wanted); });
    EXPECT_EQ(read_bytes(file()), before);
    return words;
  }

  TemporaryFolder folder_;
};

TEST_F(AnswerLogTest, WhatWasKeptIsFoundByTheNextRun) {
  {
    AnswerLog log(file(), identity());
    EXPECT_EQ(log.answers(), 0);
    for (Index batch = 0; batch < 12; ++batch) keep(log, batch);
    EXPECT_EQ(prefix(log, 20), 12);
  }
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"log"});  // one ordinary file
  AnswerLog log(file(), identity());
  EXPECT_EQ(prefix(log, 20), 12);
  EXPECT_EQ(log.replayed(), log.answers());
  EXPECT_FALSE(log.find(digest(3), 1));
}

TEST_F(AnswerLogTest, TheSameQuestionHasAsManyAnswersAsTimesItWasAsked) {
  AnswerLog log(file(), identity());
  log.keep(digest(1), 0, points(1, 2), answers(1, 2), 0);
  log.keep(digest(1), 1, points(1, 2), answers(9, 2), 1);
  EXPECT_TRUE(same_bits(log.find(digest(1), 0)->answers, answers(1, 2)));
  EXPECT_TRUE(same_bits(log.find(digest(1), 1)->answers, answers(9, 2)));
  EXPECT_EQ(log.find(digest(1), 0)->reused, 0);
  EXPECT_EQ(log.find(digest(1), 1)->reused, 1);
}

TEST_F(AnswerLogTest, ABatchOfMoreThanARowOfTheDatabaseTakesIsKeptInParts) {
  const Index rows = (Index{64} << 20) / (4000 * 8 + 16) + 5;  // 64 MiB a part
  const HostMatrix many = answers(1, rows, 4000);
  {
    AnswerLog log(file(), identity(4000));
    log.reserve(rows);
    log.keep(digest(1), 0, points(1, rows), many, rows - 2);
  }
  EXPECT_EQ(summarize_log(file()).batches, 2);
  AnswerLog log(file(), identity(4000));
  const auto kept = log.find(digest(1), 0);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(same_bits(kept->answers, many));
  EXPECT_EQ(kept->reused, rows - 2);
}

TEST_F(AnswerLogTest, ALogOfAnotherRunIsRefusedByNameAndLeftAsItWas) {
  {
    AnswerLog log(file(), identity());
    keep(log, 0);
  }
  LogIdentity other = identity();
  other.target = "network 5678";
  EXPECT_THAT(refused(other),
              AllOf(HasSubstr("another target"), HasSubstr("network 1234"), HasSubstr("5678")));
  other = identity();
  other.inputs = 4;
  EXPECT_THAT(refused(other), HasSubstr("another inputs"));
  other = identity();
  other.outputs = 1;
  EXPECT_THAT(refused(other), HasSubstr("another outputs"));
  other = identity();
  other.run[0].second = "8";
  EXPECT_THAT(refused(other), HasSubstr("another seed: expected \"8\", there it is \"7\""));
  other = identity();
  other.run.push_back({"polish", "yes"});
  EXPECT_THAT(refused(other), HasSubstr("another polish"));
  other = identity();
  other.control = "budget 100";  // may differ
  EXPECT_EQ(AnswerLog(file(), other).answers(), rows_of(0));
}

TEST_F(AnswerLogTest, ALogWithoutAnswersIsAnyRunsLog) {
  // A run that is refused before its first answer leaves one: the next may be another.
  { const AnswerLog log(file(), identity()); }
  LogIdentity other = identity();
  other.run[0].second = "8";
  {
    AnswerLog log(file(), other);
    keep(log, 0);
  }
  EXPECT_EQ(summarize_log(file()).runs.size(), 1u);
  EXPECT_EQ(AnswerLog(file(), other).answers(), rows_of(0));
  EXPECT_THAT(refused(), HasSubstr("another seed: expected \"7\", there it is \"8\""));
}

TEST_F(AnswerLogTest, AFileThatIsNoLogIsRefused) {
  write_bytes(file(),
              "no database at all, but long enough to have a header of one hundred bytes: "
              "0123456789 0123456789 0123456789 0123456789");
  EXPECT_THAT(refused(), HasSubstr("not a log of answers"));
  std::filesystem::remove(file());
  sql("CREATE TABLE mine(x); PRAGMA application_id = 17");
  EXPECT_THAT(refused(), HasSubstr("a database, but not a log"));
  EXPECT_THAT(refusal([&] { summarize_log(file()); }), HasSubstr("not a log"));
  EXPECT_THAT(refusal([&] { AnswerLog(file("nowhere/log"), identity()); }),
              HasSubstr("No such file"));
  EXPECT_THAT(refusal([&] { AnswerLog(file("."), identity()); }), HasSubstr("directory"));
  EXPECT_THAT(refusal([&] { AnswerLog("", identity()); }), HasSubstr("empty"));
}

TEST_F(AnswerLogTest, ANewerFormatIsRefused) {
  { AnswerLog log(file(), identity()); }
  sql("PRAGMA user_version = 2");
  EXPECT_THAT(refused(), HasSubstr("format 2; this crease reads format 1"));
}

TEST_F(AnswerLogTest, ALogInUseIsRefused) {
  AnswerLog log(file(), identity());
  keep(log, 0);
  EXPECT_THAT(refusal([&] { AnswerLog(file(), identity()); }), HasSubstr("in use by another"));
  keep(log, 1);
  EXPECT_EQ(prefix(log, 5), 2);
}

TEST_F(AnswerLogTest, AnswersThatWereChangedAreNotGivenOut) {
  {
    AnswerLog log(file(), identity());
    keep(log, 3);
  }
  for (const char* damage :
       {"UPDATE batches SET answers = zeroblob(length(answers))",
        "UPDATE batches SET points = zeroblob(length(points))",
        "UPDATE batches SET answers = x'00'", "UPDATE batches SET sum = sum + 1"}) {
    const std::string whole = read_bytes(file());
    sql(damage);
    AnswerLog log(file(), identity());
    EXPECT_THAT(refusal([&] { log.find(digest(3), 0); }), HasSubstr("damaged")) << damage;
  }
  sql("UPDATE batches SET rows = 1000000000000");
  EXPECT_THAT(refusal([&] { AnswerLog(file(), identity()); }), HasSubstr("damaged"));
  EXPECT_THAT(refusal([&] { PastAnswers().add(file(), identity()); }), HasSubstr("damaged"));
}

/// What kill -9 and a power cut leave behind: the database and its write-ahead log as they are on
/// the disk while the process runs, cut off or written over anywhere.
class TornLogTest : public AnswerLogTest {
 protected:
  static constexpr Index kBatches = 9;

  void SetUp() override {
    AnswerLog log(file(), identity());
    for (Index batch = 0; batch < kBatches; ++batch) {
      keep(log, batch);
      ends_.push_back(used_bytes());
    }
    database_ = read_bytes(file());
    wal_ = read_bytes(file("log-wal"));
  }

  /// Bytes of the write-ahead log up to its last frame; behind it there are zeros.
  std::size_t used_bytes() const {
    const std::string wal = read_bytes(file("log-wal"));
    return wal.find_last_not_of('\0') / 4120 * 4120;  // frames of 4120 behind 32 bytes, roughly
  }

  /// The batches that a run finds where the write-ahead log is `wal`.
  Index found(const std::string& wal) const {
    TemporaryFolder folder;
    write_bytes(folder.file("log"), database_);
    write_bytes(folder.file("log-wal"), wal);
    Index there = 0;
    {
      AnswerLog log(folder.file("log"), identity());
      there = prefix(log, kBatches + 5);
      for (Index batch = there; batch < kBatches; ++batch) keep(log, batch);  // and goes on
    }
    AnswerLog log(folder.file("log"), identity());
    EXPECT_EQ(prefix(log, kBatches + 5), kBatches);
    return there;
  }

  std::vector<std::size_t> ends_;
  std::string database_;
  std::string wal_;
};

TEST_F(TornLogTest, EveryBatchIsOnTheDiskWhenKeepReturns) {
  EXPECT_EQ(found(wal_), kBatches);
}

TEST_F(TornLogTest, CutOffAnywhereItIsAPrefixOfTheBatches) {
  Index before = 0;
  const std::size_t used = wal_.find_last_not_of('\0') + 1;
  for (std::size_t length = 0; length <= used + 997; length += 997) {
    const Index there = found(wal_.substr(0, std::min(length, used)));
    EXPECT_GE(there, before) << length;
    before = there;
  }
  EXPECT_EQ(before, kBatches);
}

TEST_F(TornLogTest, WrittenOverAnywhereItIsAPrefixOfTheBatches) {
  const std::size_t used = wal_.find_last_not_of('\0') + 1;
  Index least = kBatches;
  for (std::size_t place = 40; place < used; place += 1499) {
    std::string torn = wal_;
    for (std::size_t i = place; i < std::min(place + 512, used); ++i) torn[i] ^= 0x5a;
    // The frame that is hit and all behind it are lost, nothing before it.
    Index whole = 0;
    while (whole < kBatches && ends_[static_cast<std::size_t>(whole)] + 4120 <= place) ++whole;
    const Index there = found(torn);
    EXPECT_GE(there, whole) << place;
    EXPECT_LT(there, kBatches) << place;
    least = std::min(least, there);
  }
  EXPECT_EQ(least, 0);
}

TEST_F(AnswerLogTest, ManyBatchesGoThroughAWriteAheadLogThatStaysSmall) {
  constexpr Index kMany = 400;
  {
    AnswerLog log(file(), identity());
    for (Index batch = 0; batch < kMany; ++batch) {
      log.reserve(4000);
      log.keep(digest(batch), 0, points(batch, 4000), answers(batch, 4000), 0);
    }
    // 32 bytes a row: 51 MB in all. Moved on every 1000 pages, allocated 4 MiB ahead.
    EXPECT_LT(std::filesystem::file_size(file("log-wal")), 16u << 20);
  }
  AnswerLog log(file(), identity());
  EXPECT_EQ(log.answers(), kMany * 4000);
  EXPECT_TRUE(same_bits(log.find(digest(kMany - 1), 0)->answers, answers(kMany - 1, 4000)));
}

TEST_F(AnswerLogTest, OnAFullDiskNothingMayBeAskedAndWhatIsKeptStays) {
  Index there = 0;
  {
    AnswerLog log(file(), identity());
    const FullDisk full(1500000);
    const std::string words = refusal([&] {
      for (;; ++there) {
        log.reserve(500);
        // Space that was promised is there: this must not throw.
        EXPECT_EQ(refusal([&] {
                    log.keep(digest(there), 0, points(there, 500), answers(there, 500), 0);
                  }),
                  "not refused");
      }
    });
    EXPECT_THAT(words, AllOf(HasSubstr("no room"), HasSubstr(file()), HasSubstr("make room"),
                             HasSubstr(std::to_string(500 * there) + " answers are kept")));
    EXPECT_GT(there, 10);
    EXPECT_NE(refusal([&] { log.reserve(500); }), "not refused");
  }
  AnswerLog log(file(), identity());
  EXPECT_EQ(log.answers(), 500 * there);
  for (Index batch = 0; batch < there; ++batch) {
    EXPECT_TRUE(same_bits(log.find(digest(batch), 0)->answers, answers(batch, 500)));
  }
  keep(log, there);
}

TEST_F(AnswerLogTest, ARunThatAsksOtherwiseThanTheOneBeforeIsToldBeforeItAsks) {
  {
    AnswerLog log(file(), identity());
    for (Index batch = 0; batch < 3; ++batch) keep(log, batch);
    log.interrupted();
    keep(log, 3);  // a certificate that an uninterrupted run does not come by
    log.end("stopped");
  }
  AnswerLog log(file(), identity());
  EXPECT_THAT(refusal([&] { log.require_all_found(); }), HasSubstr("another run"));
  log.find(digest(0), 0);
  log.find(digest(2), 0);
  EXPECT_THAT(refusal([&] { log.require_all_found(); }), HasSubstr("at batch 2;"));
  log.find(digest(1), 0);
  log.require_all_found();
}

TEST_F(AnswerLogTest, ARunOfAnotherBudgetMayAskOtherwise) {
  {
    AnswerLog log(file(), identity());
    keep(log, 0);
  }
  LogIdentity larger = identity();
  larger.control = "budget 100";
  {
    AnswerLog log(file(), larger);
    log.require_all_found();
    keep(log, 1);
  }
  AnswerLog log(file(), larger);  // must come by its own questions, not by those of the first
  EXPECT_NE(refusal([&] { log.require_all_found(); }), "not refused");
  log.find(digest(1), 0);
  log.require_all_found();
}

TEST_F(AnswerLogTest, ItsContentsAreToldToPeople) {
  {
    AnswerLog log(file(), identity());
    keep(log, 1);
    log.keep(digest(5), 0, points(5, 4), answers(5, 4), 3);
    log.end("stopped");
  }
  { AnswerLog log(file(), identity()); }
  const LogSummary summary = summarize_log(file());
  EXPECT_EQ(summary.facts.at(3), (std::pair<std::string, std::string>{"seed", "7"}));
  ASSERT_EQ(summary.runs.size(), 2u);
  EXPECT_EQ(summary.runs[0].ended, "stopped");
  EXPECT_EQ(summary.runs[1].ended, "");
  EXPECT_EQ(summary.batches, 2);
  EXPECT_EQ(summary.answers, rows_of(1) + 4);
  EXPECT_EQ(summary.reused, 3);
  EXPECT_TRUE(is_answer_log(file()));
}

TEST_F(AnswerLogTest, PastAnswersAreFoundByPoint) {
  {
    AnswerLog log(file(), identity());
    keep(log, 3);
    keep(log, 4);
  }
  LogIdentity other = identity();
  other.run.clear();  // another run, seed, version
  PastAnswers past;
  past.add(file(), other);
  EXPECT_EQ(past.size(), rows_of(3) + rows_of(4));
  const double* there = past.find(points(4, rows_of(4))[2]);
  ASSERT_NE(there, nullptr);
  EXPECT_EQ(there[1], answers(4, rows_of(4))(2, 1));
  EXPECT_EQ(past.find(digest(1)), nullptr);
  other.target = "another";
  EXPECT_THAT(refusal([&] { past.add(file(), other); }), HasSubstr("another target"));
}

}  // namespace
}  // namespace crease
