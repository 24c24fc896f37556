// SPDX-License-Identifier: GPL-2.0-only
#include "lib/log.hh"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace qtfs::log {

namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("qtfs");
    // The journal stamps lines itself.
    made->set_pattern(std::getenv("JOURNAL_STREAM") ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum native(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

bool set_level(std::string_view name) {
  for (Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
    const std::string_view names[] = {"debug", "info", "warning", "error"};
    if (name == names[static_cast<size_t>(level)]) {
      logger().set_level(native(level));
      return true;
    }
  }
  return false;
}

bool enabled(Level level) {
  return logger().should_log(native(level));
}

void write(Level level, const std::string& text) {
  logger().log(native(level), text);
}

}  // namespace qtfs::log
