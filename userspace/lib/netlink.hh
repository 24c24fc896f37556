// SPDX-License-Identifier: GPL-2.0-only
// Generic netlink for the tools: requests, replies, and the kernel's own words
// where it refuses. libnl is used by netlink.cc alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

struct nl_sock;

namespace qtfs::netlink {

using Bytes = std::vector<std::byte>;

// What went wrong, as text for the user, and its error number.
class Error : public std::runtime_error {
 public:
  Error(int err, const std::string& text) : std::runtime_error(text), err_(err) {}
  int err() const { return err_; }

 private:
  int err_;
};

// The attributes of a message or of a nest; the bytes belong to somebody else.
// What is malformed or absent reads as nothing.
class Attributes {
 public:
  explicit Attributes(std::span<const std::byte> data) : data_(data) {}

  // A number of any width, in the host's byte order.
  std::optional<uint64_t> number(int type) const;
  std::optional<std::string> string(int type) const;
  std::optional<std::span<const std::byte>> bytes(int type) const;
  // An array of 64-bit numbers.
  std::vector<uint64_t> numbers(int type) const;
  // All nests of this type.
  std::vector<Attributes> nests(int type) const;

 private:
  std::span<const std::byte> data_;
};

// The attributes of a request.
class Request {
 public:
  Request& number(int type, uint32_t value);
  Request& string(int type, const std::string& text);
  std::span<const std::byte> data() const { return data_; }

 private:
  Request& put(int type, std::span<const std::byte> value);
  Bytes data_;
};

// The kernel's message behind an error or the end of a dump, from the attributes that
// follow it; empty where there is none.
std::string extack_text(std::span<const std::byte> attributes);

// A socket that talks to one family.
class Family {
 public:
  // Throws an Error with ENOENT where the kernel does not have the family.
  explicit Family(const std::string& name);

  // Sends one command and gives the attributes of all messages of the answer.
  std::vector<Bytes> call(uint8_t command, const Request& request = {});
  std::vector<Bytes> dump(uint8_t command);

 private:
  struct Closer {
    void operator()(nl_sock* sock) const;
  };
  std::vector<Bytes> transact(uint8_t command, int flags, const Request& request);

  std::unique_ptr<nl_sock, Closer> sock_;
  int id_ = 0;
};

}  // namespace qtfs::netlink
