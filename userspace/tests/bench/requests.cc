// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/requests.hh"

namespace qtfs {

void must(Status status) {
  if (!status)
    throw std::runtime_error(std::strerror(status.err()));
}

FileClient::FileClient(uint16_t port, const std::string& path, const std::string& name) {
  must(client.connect("127.0.0.1", port));
  must(client.start());
  must(client.add_cred({.id = 1}));
  client.cred = 1;
  dir = le64toh(must(client.attach(path)).node);
  node = le64toh(must(client.walk(dir, name)).node);
  open = le64toh(must(client.open(node, QTFS_OPEN_READ | QTFS_OPEN_WRITE)).open);
}

std::vector<std::byte> FileClient::getattr() const {
  qtfs_wire_getattr body{};
  body.node = htole64(node);
  return client.frame(QTFS_OP_GETATTR, 0, bytes_of(body));
}

std::vector<std::byte> FileClient::read(uint32_t count) const {
  qtfs_wire_read body{};
  body.open = htole64(open);
  body.count = htole32(count);
  body.flags = htole32(QTFS_READ_CACHED);
  return client.frame(QTFS_OP_READ, 0, bytes_of(body));
}

std::vector<std::byte> FileClient::write(const std::string& bytes) const {
  qtfs_wire_write body{};
  body.open = htole64(open);
  body.count = htole32(static_cast<uint32_t>(bytes.size()));
  return client.frame(QTFS_OP_WRITE, 0, bytes_of(body), bytes_of(std::string_view(bytes)));
}

}  // namespace qtfs
