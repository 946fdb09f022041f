// Opening, asking, and the words for SQLite's codes.
#include "src/files/sqlite.hpp"

#include <cstring>
#include <filesystem>

namespace crease {

Database::Database(const std::string& path, int flags, int wait_milliseconds) : path_(path) {
  if (path.empty()) throw FileError("cannot open a log: the name of the file is empty");
  // Absolute: SQLite has names of its own (":memory:").
  const std::string file = std::filesystem::absolute(path).string();
  const int code = sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    try {
      fail(code);
    } catch (...) {
      sqlite3_close(handle_);
      throw;
    }
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, wait_milliseconds);
}

Database::~Database() {
  sqlite3_close(handle_);
}

void Database::run(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

Index Database::number(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.number(0) : 0;
}

std::string Database::text(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text(0) : "";
}

void Database::fail(int code) const {
  const int system = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_);
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw FileError(path_ + " is in use by another running process");
    case SQLITE_NOTADB:
      throw FileError(path_ + " is not a log of answers: expected an SQLite database");
    case SQLITE_CORRUPT:
      throw FileError(path_ + " is damaged: " + sqlite3_errmsg(handle_));
    case SQLITE_FULL:
      throw FileError("cannot write " + path_ + ": the disk is full");
    case SQLITE_READONLY:
      throw FileError("cannot write " + path_ + ": it is read-only");
    case SQLITE_NOMEM:
      throw FileError("cannot read " + path_ + ": not enough memory");
    default:
      break;
  }
  const std::string why = system != 0          ? std::strerror(system)
                          : handle_ != nullptr ? sqlite3_errmsg(handle_)
                                               : sqlite3_errstr(code);
  throw FileError("cannot open or write " + path_ + ": " + why);
}

Statement::Statement(Database& database, const char* sql) : database_(database) {
  check(sqlite3_prepare_v2(database.handle(), sql, -1, &handle_, nullptr));
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_.fail(code);
}

Statement& Statement::bind(int parameter, Index number) {
  check(sqlite3_bind_int64(handle_, parameter, number));
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();  // null would be NULL
  check(sqlite3_bind_text64(handle_, parameter, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_blob(int parameter, const void* data, std::size_t bytes) {
  check(sqlite3_bind_blob64(handle_, parameter, data, bytes, SQLITE_STATIC));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  const int after = sqlite3_reset(handle_);  // says the same where step() failed
  if (code != SQLITE_DONE) database_.fail(after == SQLITE_OK ? code : after);
  return false;
}

Index Statement::number(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return text == nullptr
             ? std::string()
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

std::span<const std::byte> Statement::blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(handle_, column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace crease
