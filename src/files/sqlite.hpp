// SQLite with exceptions that name the file and what is wrong with it.
#pragma once

#include <crease/types.hpp>

#include <sqlite3.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace crease {

/// An open database. Everything throws FileError.
class Database {
 public:
  /// flags  as sqlite3_open_v2 takes them
  Database(const std::string& path, int flags, int wait_milliseconds);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  sqlite3* handle() const { return handle_; }
  const std::string& path() const { return path_; }

  /// Statements without a result.
  void run(const char* sql);
  /// The first column of the first row.
  Index number(const char* sql);
  std::string text(const char* sql);

  /// What the last call's code means, as FileError.
  [[noreturn]] void fail(int code) const;

 private:
  std::string path_;
  sqlite3* handle_ = nullptr;
};

/// A prepared statement; parameters count from 1, columns from 0.
class Statement {
 public:
  Statement(Database& database, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int parameter, Index number);
  /// The bytes must outlive the next step().
  Statement& bind(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, const void* data, std::size_t bytes);

  /// True on a row. After false the statement may be bound and run again.
  bool step();

  Index number(int column) const;
  std::string text(int column) const;
  /// Valid until the next step().
  std::span<const std::byte> blob(int column) const;

 private:
  void check(int code) const;

  Database& database_;
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace crease
