// SPDX-License-Identifier: GPL-2.0-only
// The header of a request, checked.
#pragma once

#include <optional>

#include "lib/bytes.hh"
#include "lib/codec.hh"

namespace qtfs {

struct FrameHeader {
  uint32_t len = 0;
  uint16_t op = 0;
  uint16_t flags = 0;
  uint64_t tag = 0;
  uint32_t cred = 0;
  uint32_t body = 0;
  uint16_t epoch = 0;

  uint32_t payload() const { return len - static_cast<uint32_t>(sizeof(qtfs_wire_req)) - body; }
};

// @raw holds at least a header. Says what is wrong with it, or nothing: then @header is filled and
// its lengths are within the limits. @payload_max is 0 before a session exists.
inline const char* parse_header(Bytes raw, uint32_t payload_max, FrameHeader& header) {
  qtfs_wire_req wire;
  std::memcpy(&wire, raw.data(), sizeof(wire));
  header.len = le32toh(wire.len);
  header.op = le16toh(wire.op);
  header.flags = le16toh(wire.flags);
  header.tag = le64toh(wire.tag);
  header.cred = le32toh(wire.cred);
  header.body = le32toh(wire.body);
  header.epoch = le16toh(wire.epoch);
  if (header.body > QTFS_BODY_MAX || header.body % QTFS_ALIGN != 0)
    return "bad body length";
  if (header.len < sizeof(wire) + header.body)
    return "frame shorter than its body";
  if (header.payload() > payload_max)
    return "payload too long";
  if (header.flags & ~QTFS_FRAME_NOREPLY)
    return "unknown flags";
  // Slots, and with them replays, are a feature that this engine does not announce.
  if (le16toh(wire.slot) != QTFS_NO_SLOT || wire.slot_seq)
    return "a slot that was not granted";
  const bool noreply = (header.flags & QTFS_FRAME_NOREPLY) != 0;
  if ((header.tag == 0) != noreply)
    return noreply ? "a tag without a reply" : "no tag";
  return nullptr;
}

}  // namespace qtfs
