// SPDX-License-Identifier: GPL-2.0-only
// What authentication needs: SHA-256, HMAC-SHA-256, random bytes.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "lib/bytes.hh"

namespace qtfs {

using Digest = std::array<std::byte, 32>;

Digest sha256(Bytes first, Bytes second = {});
// HMAC-SHA-256(key, label | transcript): every proof and derived key of the protocol.
Digest proof_of(Bytes key, std::string_view label, const Digest& transcript);
// In a time that does not depend on where they differ.
bool same_digest(Bytes a, Bytes b);
void fill_random(std::span<std::byte> out);

}  // namespace qtfs
