// SPDX-License-Identifier: GPL-2.0-only
#include "lib/client.hh"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <thread>

namespace qtfs {

Status Client::connect(const std::string& host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    return Status::error(EINVAL);
  fd_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  if (!fd_ || setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
      ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    return Status::last();
  epoch_ = 0;
  return {};
}

Status Client::connect_vsock(unsigned cid, uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  fd_.reset(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd_ || ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    return Status::last();
  epoch_ = 0;
  return {};
}

void Client::connect_by(UniqueFd fd) {
  fd_ = std::move(fd);
  epoch_ = 0;
}

// --- frames

std::vector<std::byte> Client::frame(uint16_t op, uint64_t tag, Bytes body, Bytes payload,
                                     uint16_t flags) const {
  qtfs_wire_req header{};
  header.len = htole32(static_cast<uint32_t>(sizeof(header) + body.size() + payload.size()));
  header.op = htole16(op);
  header.flags = htole16(flags);
  header.tag = htole64(tag);
  header.cred = htole32(cred);
  header.body = htole32(static_cast<uint32_t>(body.size()));
  header.slot = htole16(QTFS_NO_SLOT);
  header.epoch = htole16(epoch_);
  return std::vector<std::byte>([&] {
    Body whole;
    whole.put(header).raw(body).raw(payload);
    return std::vector<std::byte>(whole.bytes().begin(), whole.bytes().end());
  }());
}

Status Client::send_raw(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0 && errno != EINTR)
      return Status::last();
    if (put > 0)
      bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

Result<uint64_t> Client::send(uint16_t op, Bytes body, Bytes payload, uint16_t flags) {
  const uint64_t tag = (flags & QTFS_FRAME_NOREPLY) ? 0 : next_tag_++;
  if (pause.count() > 0)
    std::this_thread::sleep_for(pause);
  if (Status status = send_raw(frame(op, tag, body, payload, flags)); !status)
    return status;
  return tag;
}

Status Client::receive_exactly(std::byte* to, size_t len) {
  while (len > 0) {
    const ssize_t got = ::recv(fd_.get(), to, len, 0);
    if (got == 0)
      return Status::error(ECONNRESET);
    if (got < 0 && errno != EINTR)
      return Status::last();
    if (got > 0) {
      to += got;
      len -= static_cast<size_t>(got);
    }
  }
  return {};
}

Result<Answer> Client::receive() {
  Answer answer;
  auto* raw = reinterpret_cast<std::byte*>(&answer.header);
  if (Status status = receive_exactly(raw, sizeof(answer.header)); !status)
    return status;
  const uint64_t len = le32toh(answer.header.len);
  const uint64_t body = le32toh(answer.header.body);
  if (len < sizeof(answer.header) + body || body % QTFS_ALIGN != 0 || body > QTFS_BODY_MAX ||
      len > sizeof(answer.header) + QTFS_BODY_MAX + QTFS_IO_MAX)
    return Status::error(EPROTO);
  answer.body.resize(body);
  answer.payload.resize(len - sizeof(answer.header) - body);
  if (Status status = receive_exactly(answer.body.data(), answer.body.size()); !status)
    return status;
  if (Status status = receive_exactly(answer.payload.data(), answer.payload.size()); !status)
    return status;
  return answer;
}

namespace {

// The push becomes the answer that it stands for.
void unpark(Answer& answer) {
  const auto push = answer.as<qtfs_wire_push_unpark>();
  answer.header.tag = push.park;
  answer.header.status = push.status;
  answer.header.op = push.op;
  if (answer.body.size() >= sizeof(push))
    answer.body.erase(answer.body.begin(), answer.body.begin() + sizeof(push));
}

}  // namespace

bool Client::sort(Answer& answer) {
  const uint16_t flags = le16toh(answer.header.flags);
  if (flags & QTFS_FRAME_PARKED) {
    parked_++;
    return false;
  }
  if (!(flags & QTFS_FRAME_PUSH))
    return true;
  if (le16toh(answer.header.op) == QTFS_OP_PUSH_UNPARK) {
    unpark(answer);
    return true;
  }
  pushes_.push_back(std::move(answer));
  return false;
}

Result<Answer> Client::push() {
  while (pushes_.empty()) {
    auto answer = receive();
    if (!answer)
      return answer.status();
    if (sort(*answer))
      kept_.emplace(le64toh(answer->header.tag), std::move(*answer));
  }
  Answer answer = std::move(pushes_.front());
  pushes_.pop_front();
  return answer;
}

Result<Answer> Client::wait(uint64_t tag) {
  while (true) {
    if (auto found = kept_.find(tag); found != kept_.end()) {
      Answer answer = std::move(found->second);
      kept_.erase(found);
      return answer;
    }
    auto answer = receive();
    if (!answer)
      return answer.status();
    if (!sort(*answer))
      continue;
    const uint64_t got = le64toh(answer->header.tag);
    if (got == tag)
      return answer;
    kept_.emplace(got, std::move(*answer));
  }
}

Result<Answer> Client::call(uint16_t op, Bytes body, Bytes payload) {
  const auto tag = send(op, body, payload);
  if (!tag)
    return tag.status();
  auto answer = wait(*tag);
  if (answer && le16toh(answer->header.op) != op)
    return Status::error(EPROTO);
  return answer;
}

bool Client::closed_by_peer() {
  std::byte byte{};
  ssize_t got = 0;
  do
    got = ::recv(fd_.get(), &byte, 1, 0);
  while (got < 0 && errno == EINTR);
  return got == 0 || (got < 0 && errno == ECONNRESET);
}

// --- the first exchange

qtfs_wire_hello Client::hello_body() const {
  qtfs_wire_hello body{};
  body.magic = htole32(QTFS_WIRE_MAGIC);
  body.version_min = htole16(QTFS_WIRE_VERSION);
  body.version_max = htole16(QTFS_WIRE_VERSION);
  body.io_max = htole32(QTFS_IO_MAX);
  body.inflight = htole32(QTFS_INFLIGHT_MAX);
  body.auth = htole32(QTFS_AUTH_NONE);
  body.features = htole64(features);
  fill_random(std::as_writable_bytes(std::span(body.nonce)));
  return body;
}

Result<Answer> Client::hello(const qtfs_wire_hello& given, std::string_view name) {
  qtfs_wire_hello hello = given;
  hello.name_len = htole16(static_cast<uint16_t>(name.size()));
  Body body;
  body.put(hello).name(name);
  auto answer = call(QTFS_OP_HELLO, body.bytes());
  if (answer) {
    transcript_ = sha256(body.bytes(), answer->body);
    hello_rep_ = answer->as<qtfs_wire_hello_rep>();
    io_max_ = le32toh(hello_rep_.io_max);
  }
  return answer;
}

Result<Answer> Client::auth(std::string_view psk) {
  const Digest proof = proof_of(bytes_of(psk), QTFS_LABEL_CLIENT, transcript_);
  auto answer = call(QTFS_OP_AUTH, bytes_of(proof));
  if (answer && answer->err() == 0 &&
      !same_digest(answer->body, proof_of(bytes_of(psk), QTFS_LABEL_SERVER, transcript_)))
    return Status::error(EKEYREJECTED);
  return answer;
}

Result<Answer> Client::session(uint16_t action, const SessionIdBytes* id, const Digest* secret) {
  qtfs_wire_session body{};
  body.action = htole16(action);
  if (id)
    std::memcpy(body.id, id->data(), id->size());
  if (secret) {
    const Digest proved = proof(*secret, QTFS_LABEL_RESUME);
    std::memcpy(body.proof, proved.data(), proved.size());
  }
  auto answer = call(QTFS_OP_SESSION, bytes_of(body));
  if (answer && answer->err() == 0) {
    const auto rep = answer->as<qtfs_wire_session_rep>();
    epoch_ = le16toh(rep.epoch);
    std::memcpy(session_id_.data(), rep.id, session_id_.size());
    if (action == QTFS_SESSION_NEW)
      std::memcpy(secret_.data(), rep.secret, secret_.size());
  }
  return answer;
}

Status Client::establish(std::string_view psk) {
  qtfs_wire_hello body = hello_body();
  if (!psk.empty())
    body.auth = htole32(QTFS_AUTH_PSK);
  auto answer = hello(body);
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  if (psk.empty())
    return {};
  answer = auth(psk);
  return answer ? Status::error(answer->err()) : answer.status();
}

Status Client::start(std::string_view psk) {
  if (Status status = establish(psk); !status)
    return status;
  const auto answer = session(QTFS_SESSION_NEW);
  if (!answer)
    return answer.status();
  if (!psk.empty())
    secret_ = proof_of(bytes_of(psk), QTFS_LABEL_SECRET, transcript_);
  return Status::error(answer->err());
}

Status Client::join(const Client& other, std::string_view psk) {
  if (Status status = establish(psk); !status)
    return status;
  secret_ = other.secret_;
  const auto answer = session(QTFS_SESSION_JOIN, &other.session_id_, &other.secret_);
  return answer ? Status::error(answer->err()) : answer.status();
}

}  // namespace qtfs
