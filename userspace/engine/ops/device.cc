// SPDX-License-Identifier: GPL-2.0-only
// ioctl(2) on what a client has open: the mirror of kmod/device.c.
#include "qtfs/device.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <endian.h>
#include <linux/fs.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

// How many numbers of each size an argument has, in this order.
struct Shape {
  size_t n64, n32, n16, n8, more;
  constexpr size_t size() const { return n64 * 8 + n32 * 4 + n16 * 2 + n8 + more * 4; }
};

constexpr Shape shapes[] = {
#define X(name, n64, n32, n16, n8, more) {n64, n32, n16, n8, more},
    QTFS_ARGUMENT_LIST(X)
#undef X
};
static_assert(std::all_of(std::begin(shapes), std::end(shapes),
                          [](const Shape& s) { return s.size() <= QTFS_ARGUMENT_MAX; }));

struct Command {
  uint32_t wire;
  unsigned long native;
  qtfs_argument in;
  qtfs_argument out;
};

constexpr Command commands[] = {
#define X(number, name, in, out) {number, name, QTFS_ARGUMENT_##in, QTFS_ARGUMENT_##out},
    QTFS_DEVICE_IOCTL_LIST(X)
#undef X
};

template <typename T, typename Swap>
std::byte* swap_each(std::byte* at, size_t count, Swap swap) {
  for (; count > 0; count--, at += sizeof(T)) {
    T number;
    std::memcpy(&number, at, sizeof(number));
    number = swap(number);
    std::memcpy(at, &number, sizeof(number));
  }
  return at;
}

// Between the host's byte order and the wire's; the same both ways.
void swap_shape(const Shape& shape, std::byte* at) {
  const auto swap32 = [](uint32_t n) { return le32toh(n); };
  at = swap_each<uint64_t>(at, shape.n64, [](uint64_t n) { return le64toh(n); });
  at = swap_each<uint32_t>(at, shape.n32, swap32);
  at = swap_each<uint16_t>(at, shape.n16, [](uint16_t n) { return le16toh(n); });
  swap_each<uint32_t>(at + shape.n8, shape.more, swap32);
}

Status reply_result(Call& call, uint64_t result) {
  call.reply.put(qtfs_wire_ioctl_rep{htole64(result)});
  return {};
}

// FIONREAD of what is no device.
Status readable(Call& call, const Open& open, const qtfs_wire_ioctl& body) {
  if (open.device() || !open.piped())
    return Status::error(ENOTTY);
  if (body.arg || body.out_max || !call.payload.empty())
    return Status::error(EINVAL);
  int bytes = 0;
  if (ioctl(open.fd.get(), FIONREAD, &bytes) < 0)
    return Status::last();
  return reply_result(call, static_cast<uint64_t>(bytes));
}

Status of_device(Call& call, const Open& open, const Command& command,
                 const qtfs_wire_ioctl& body) {
  const Shape& in = shapes[command.in];
  const Shape& out = shapes[command.out];
  if (call.payload.size() != in.size() || le32toh(body.out_max) != out.size())
    return Status::error(EINVAL);
  // It may wait for what was written to be sent.
  if (!call.may_block) {
    call.patient = true;
    call.parks = true;
    return Status::defer();
  }
  if (Status status = call.act(open); !status)
    return status;
  alignas(8) std::byte argument[QTFS_ARGUMENT_MAX] = {};
  std::copy(call.payload.begin(), call.payload.end(), argument);
  swap_shape(in, argument);
  const int result = command.in == QTFS_ARGUMENT_VALUE
                         ? ioctl(open.fd.get(), command.native, le64toh(body.arg))
                         : ioctl(open.fd.get(), command.native, argument);
  if (result < 0)
    return Status::last();
  if (out.size() > 0) {
    auto payload = call.take_payload_buffer(out.size());
    if (!payload)
      return payload.status();
    swap_shape(out, argument);
    std::memcpy(payload->data(), argument, out.size());
    payload->grow(out.size());
    call.reply.set_payload(std::move(*payload));
  }
  return reply_result(call, 0);
}

}  // namespace

Status op_ioctl(Call& call) {
  const auto body = call.take<qtfs_wire_ioctl>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  const uint32_t wanted = le32toh(body->cmd);
  if (wanted == QTFS_IOCTL_READABLE)
    return readable(call, **open, *body);
  const auto* command = std::find_if(std::begin(commands), std::end(commands),
                                     [&](const Command& c) { return c.wire == wanted; });
  // What others do is not known to be harmless.
  if (command == std::end(commands) || !(*open)->device())
    return Status::error(ENOTTY);
  return of_device(call, **open, *command, *body);
}

}  // namespace qtfs
