// Logs of other runs: their answers by point, and their contents for people.
#include <crease/answer_log.hpp>

#include <algorithm>

#include "src/files/log_database.hpp"

namespace crease {

void PastAnswers::add(const std::string& path, const LogIdentity& identity) {
  const auto database = open_log(path);
  require_facts(path, read_facts(*database), facts_of(identity, false));
  const Index p = identity.outputs;
  std::vector<LogPart> parts;
  Statement all(*database, "SELECT id, rows FROM batches ORDER BY id");
  while (all.step()) parts.push_back({all.number(0), all.number(1)});
  Statement by_id(*database, kPartById);
  const Index most = most_rows(*database, p);
  for (const LogPart& part : parts) {
    if (part.rows < 1 || part.rows > most) {
      throw FileError(path + " is damaged: batch " + std::to_string(part.id) +
                      " has no number of answers");
    }
    std::vector<Digest> points(static_cast<std::size_t>(part.rows));
    HostMatrix answers(part.rows, p);
    read_part(*database, by_id, part, p, points.data(), answers.data());
    for (Index i = 0; i < part.rows; ++i) {
      if (!places_.emplace(points[static_cast<std::size_t>(i)], answers_.size()).second) continue;
      answers_.insert(answers_.end(), answers.row(i), answers.row(i) + p);
    }
  }
}

const double* PastAnswers::find(const Digest& point) const {
  const auto found = places_.find(point);
  return found == places_.end() ? nullptr : answers_.data() + found->second;
}

LogSummary summarize_log(const std::string& path) {
  const auto database = open_log(path);
  LogSummary summary;
  summary.facts = read_facts(*database);
  Statement runs(*database, "SELECT control, ended FROM runs ORDER BY id");
  while (runs.step()) summary.runs.push_back({runs.text(0), runs.text(1)});
  summary.batches = database->number("SELECT count(*) FROM batches");
  summary.answers = database->number("SELECT coalesce(sum(rows), 0) FROM batches");
  summary.reused = database->number("SELECT coalesce(sum(reused), 0) FROM batches");
  return summary;
}

}  // namespace crease
