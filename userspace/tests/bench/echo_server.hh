// SPDX-License-Identifier: GPL-2.0-only
// What the engine is measured against: the least that a server on the same ring can do.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/ring.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// A socket that listens on a free port of 127.0.0.1.
UniqueFd listen_on_loopback(uint16_t& port);

// Answers each frame of @request bytes by one of @reply bytes, after one statx of @path. Knows no
// protocol, no sessions, no credentials; serves one connection.
class EchoServer {
 public:
  EchoServer(const std::string& path, size_t request, size_t reply);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  uint16_t port() const { return port_; }

 private:
  void serve();
  void on_recv(const Completion& completion);
  void answer(size_t frames);

  size_t request_;
  size_t reply_;
  UniqueFd object_;
  UniqueFd listener_;
  UniqueFd conn_;
  uint16_t port_ = 0;
  std::unique_ptr<Ring> ring_;
  RingOp recv_op_;
  RingOp send_op_;
  size_t partial_ = 0;  // bytes of a frame that is not complete
  bool ended_ = false;
  std::vector<std::byte> out_;
  iovec iov_{};
  msghdr message_{};
  std::thread thread_;
};

// Answers each request of @request bytes by sendfile(2) of @len bytes of @path from its beginning.
class SendfileServer {
 public:
  SendfileServer(const std::string& path, size_t request, size_t len);
  ~SendfileServer();
  SendfileServer(const SendfileServer&) = delete;
  SendfileServer& operator=(const SendfileServer&) = delete;
  uint16_t port() const { return port_; }

 private:
  void serve();

  size_t request_;
  size_t len_;
  UniqueFd file_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace qtfs
