// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/echo_server.hh"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

namespace qtfs {

namespace {

void require(bool good, const char* what) {
  if (!good)
    throw std::runtime_error(what);
}

// The next connection, without delays.
UniqueFd accept_one(int listener) {
  UniqueFd conn(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  const int one = 1;
  if (conn)
    setsockopt(conn.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return conn;
}

}  // namespace

UniqueFd listen_on_loopback(uint16_t& port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  require(fd && bind(fd.get(), any, len) == 0 && listen(fd.get(), 1) == 0 &&
              getsockname(fd.get(), any, &len) == 0,
          "listening on 127.0.0.1");
  port = ntohs(address.sin_port);
  return fd;
}

// --- EchoServer

EchoServer::EchoServer(const std::string& path, size_t request, size_t reply)
    : request_(request), reply_(reply), object_(open(path.c_str(), O_PATH | O_CLOEXEC)) {
  require(static_cast<bool>(object_), "opening the object to stat");
  listener_ = listen_on_loopback(port_);
  thread_ = std::thread([this] { serve(); });
}

EchoServer::~EchoServer() {
  shutdown(listener_.get(), SHUT_RDWR);  // if nobody came
  thread_.join();
}

void EchoServer::serve() {
  conn_ = accept_one(listener_.get());
  if (!conn_)
    return;
  auto ring = Ring::open({});
  require(ring.ok() && (*ring)->provided_buffers(), "io_uring with multishot receive");
  ring_ = std::move(*ring);
  recv_op_ = {[](void* self, const Completion& c) { static_cast<EchoServer*>(self)->on_recv(c); },
              this};
  send_op_ = {[](void* self, const Completion& c) {
                require(c.result == static_cast<int>(static_cast<EchoServer*>(self)->iov_.iov_len),
                        "sending without waiting");
              },
              this};
  ring_->recv_multishot(conn_.get(), recv_op_);
  while (!ended_)
    require(ring_->run().ok(), "the ring");
  ring_.reset();
}

void EchoServer::on_recv(const Completion& completion) {
  if (completion.buffer >= 0)
    ring_->recycle(completion.buffer);
  if (completion.result <= 0 && completion.result != -ENOBUFS) {
    ended_ = true;
    return;
  }
  if (!completion.more)
    ring_->recv_multishot(conn_.get(), recv_op_);
  if (completion.result > 0)
    partial_ += static_cast<size_t>(completion.result);
  answer(partial_ / request_);
  partial_ %= request_;
}

void EchoServer::answer(size_t frames) {
  struct statx stx {};
  for (size_t i = 0; i < frames; i++)
    require(statx(object_.get(), "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
                  STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &stx) == 0,
            "statx");
  if (frames == 0)
    return;
  out_.resize(frames * reply_);
  iov_ = {out_.data(), out_.size()};
  message_.msg_iov = &iov_;
  message_.msg_iovlen = 1;
  ring_->send_now(conn_.get(), message_, send_op_);
}

// --- SendfileServer

SendfileServer::SendfileServer(const std::string& path, size_t request, size_t len)
    : request_(request), len_(len), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  require(static_cast<bool>(file_), "opening the file to send");
  listener_ = listen_on_loopback(port_);
  thread_ = std::thread([this] { serve(); });
}

SendfileServer::~SendfileServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void SendfileServer::serve() {
  const UniqueFd conn = accept_one(listener_.get());
  std::vector<std::byte> request(request_);
  while (conn && recv(conn.get(), request.data(), request_, MSG_WAITALL) ==
                     static_cast<ssize_t>(request_)) {
    off_t at = 0;
    while (at < static_cast<off_t>(len_))
      if (sendfile(conn.get(), file_.get(), &at, len_ - static_cast<size_t>(at)) <= 0)
        return;
  }
}

}  // namespace qtfs
