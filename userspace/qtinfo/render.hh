// SPDX-License-Identifier: GPL-2.0-only
// One value tree, shown for eyes or for programs.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace qtfs::qtinfo {

using Tree = nlohmann::ordered_json;

// Tables where they fit into @width columns, else one block for each element. Numbers get
// units: keys that end in _ns are durations, those with "bytes" are sizes. Arrays of
// numbers are left out: they are for programs.
std::string render_text(const Tree& tree, size_t width);
std::string render_json(const Tree& tree);

// 1536 -> "1.5 KiB", 2500000 -> "2.5 ms"
std::string human_bytes(uint64_t bytes);
std::string human_ns(uint64_t ns);

}  // namespace qtfs::qtinfo
