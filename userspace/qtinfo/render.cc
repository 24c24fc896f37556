// SPDX-License-Identifier: GPL-2.0-only
#include "qtinfo/render.hh"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

namespace qtfs::qtinfo {

namespace {

using Row = std::vector<std::string>;

std::string scaled(double value, const char* unit) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), value < 10 ? "%.1f %s" : "%.0f %s", value, unit);
  return text.data();
}

bool is_table(const Tree& tree) {
  return tree.is_array() && !tree.empty() && tree.front().is_object();
}

bool has_table(const Tree& object) {
  return std::ranges::any_of(object.items(),
                             [](const auto& item) { return is_table(item.value()); });
}

bool is_number_list(const Tree& tree) {
  return tree.is_array() && !tree.empty() && tree.front().is_number();
}

bool is_shown(const Tree& value) {
  return !is_table(value) && !is_number_list(value);
}

bool is_duration(std::string_view key) {
  return key.ends_with("_ns");
}

// Names in the server's power may hold anything: nothing of it moves the cursor.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

std::string label(std::string_view key) {
  if (is_duration(key))
    key.remove_suffix(3);
  std::string out(key);
  std::ranges::replace(out, '_', ' ');
  return out;
}

std::string scalar(std::string_view key, const Tree& value) {
  if (value.is_null() || (value.is_array() && value.empty()))
    return "-";
  if (value.is_array()) {
    std::string out;
    for (const auto& one : value)
      out += (out.empty() ? "" : ", ") + scalar(key, one);
    return out;
  }
  if (value.is_number_unsigned() && is_duration(key))
    return human_ns(value.get<uint64_t>());
  if (value.is_number_unsigned() && key.find("bytes") != key.npos)
    return human_bytes(value.get<uint64_t>());
  if (value.is_string())
    return value.get_ref<const std::string&>().empty()
               ? "-"
               : printable(value.get_ref<const std::string&>());
  return value.dump();
}

// Columns of what the terminal shows: UTF-8's continuation bytes take no room.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string space(width - columns(text), ' ');
  return right ? space + text : text + space;
}

struct Table {
  std::vector<Row> rows;  // the first is the heading
  std::vector<bool> right;
  std::vector<size_t> widths;

  size_t width() const {
    size_t sum = 0;
    for (const size_t one : widths)
      sum += one + 2;
    return sum ? sum - 2 : 0;
  }

  std::string text() const {
    std::string out;
    for (const auto& row : rows) {
      std::string line;
      for (size_t i = 0; i < row.size(); i++)
        line += (i ? "  " : "") + padded(row[i], widths[i], right[i]);
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
    return out;
  }
};

Table make_table(const Tree& array) {
  Table table;
  table.rows.emplace_back();
  std::vector<std::string> keys;
  for (const auto& [key, value] : array.front().items()) {
    if (!is_shown(value))
      continue;
    keys.push_back(key);
    table.rows[0].push_back(label(key));
    std::ranges::transform(table.rows[0].back(), table.rows[0].back().begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    table.right.push_back(value.is_number());
  }
  for (const auto& object : array) {
    auto& row = table.rows.emplace_back();
    for (const auto& key : keys)
      row.push_back(object.contains(key) ? scalar(key, object[key]) : "-");
  }
  for (size_t i = 0; i < keys.size(); i++) {
    size_t width = 0;
    for (const auto& row : table.rows)
      width = std::max(width, columns(row[i]));
    table.widths.push_back(width);
  }
  return table;
}

std::string render_object(const Tree& object, size_t width) {
  size_t widest = 0;
  for (const auto& [key, value] : object.items())
    if (is_shown(value))
      widest = std::max(widest, label(key).size());

  std::string out;
  for (const auto& [key, value] : object.items())
    if (is_shown(value))
      out += padded(label(key) + ":", widest + 2, false) + scalar(key, value) + "\n";
  for (const auto& [key, value] : object.items())
    if (is_table(value))
      out += "\n" + render_text(value, width);
  return out;
}

std::string render_blocks(const Tree& array, size_t width) {
  std::string out;
  for (const auto& object : array)
    out += (out.empty() ? "" : "\n") + render_object(object, width);
  return out;
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 6> units = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024)
    return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); unit++)
    value /= 1024;
  return scaled(value, units[unit]);
}

std::string human_ns(uint64_t ns) {
  constexpr std::array<const char*, 3> units = {"us", "ms", "s"};
  if (ns < 1000)
    return std::to_string(ns) + " ns";
  double value = static_cast<double>(ns) / 1000;
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); unit++)
    value /= 1000;
  return scaled(value, units[unit]);
}

std::string render_text(const Tree& tree, size_t width) {
  if (tree.is_object())
    return render_object(tree, width);
  if (!is_table(tree))
    return tree.is_array() && tree.empty() ? "" : scalar("", tree) + "\n";
  if (std::ranges::none_of(tree, has_table)) {
    const Table table = make_table(tree);
    if (table.width() <= width)
      return table.text();
  }
  return render_blocks(tree, width);
}

std::string render_json(const Tree& tree) {
  // A path may hold bytes that are no UTF-8.
  return tree.dump(2, ' ', false, Tree::error_handler_t::replace) + "\n";
}

}  // namespace qtfs::qtinfo
