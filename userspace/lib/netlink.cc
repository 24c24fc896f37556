// SPDX-License-Identifier: GPL-2.0-only
#include "lib/netlink.hh"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace qtfs::netlink {

namespace {

constexpr size_t attribute_header = NLA_HDRLEN;

size_t aligned(size_t len) {
  return (len + NLA_ALIGNTO - 1) & ~static_cast<size_t>(NLA_ALIGNTO - 1);
}

// Calls f(type, payload) for each attribute until it returns false.
template <typename F>
void walk(std::span<const std::byte> data, F f) {
  while (data.size() >= attribute_header) {
    nlattr head;
    std::memcpy(&head, data.data(), sizeof(head));
    if (head.nla_len < attribute_header || head.nla_len > data.size())
      return;
    if (!f(head.nla_type & NLA_TYPE_MASK,
           data.subspan(attribute_header, head.nla_len - attribute_header)))
      return;
    data = data.subspan(std::min(aligned(head.nla_len), data.size()));
  }
}

// What an exchange gathers while libnl calls back.
struct Exchange {
  std::vector<Bytes> messages;
  bool done = false;
  int err = 0;
  std::string text;
};

std::span<const std::byte> span_of(const void* data, size_t len) {
  return {static_cast<const std::byte*>(data), len};
}

int on_message(nl_msg* msg, void* arg) {
  auto* exchange = static_cast<Exchange*>(arg);
  const nlmsghdr* hdr = nlmsg_hdr(msg);
  if (!genlmsg_valid_hdr(const_cast<nlmsghdr*>(hdr), 0))
    return NL_SKIP;
  const auto* genl = static_cast<const genlmsghdr*>(nlmsg_data(hdr));
  const auto attributes = span_of(genlmsg_attrdata(genl, 0),
                                  static_cast<size_t>(std::max(genlmsg_attrlen(genl, 0), 0)));
  exchange->messages.emplace_back(attributes.begin(), attributes.end());
  return NL_OK;
}

int on_ack(nl_msg*, void* arg) {
  static_cast<Exchange*>(arg)->done = true;
  return NL_STOP;
}

// The end of a dump carries an error number of its own.
int on_finish(nl_msg* msg, void* arg) {
  auto* exchange = static_cast<Exchange*>(arg);
  exchange->done = true;
  const nlmsghdr* hdr = nlmsg_hdr(msg);
  const auto payload = span_of(nlmsg_data(hdr), static_cast<size_t>(nlmsg_datalen(hdr)));
  int err = 0;
  if (payload.size() >= sizeof(err))
    std::memcpy(&err, payload.data(), sizeof(err));
  if (err < 0) {
    exchange->err = -err;
    if (hdr->nlmsg_flags & NLM_F_ACK_TLVS)
      exchange->text = extack_text(payload.subspan(sizeof(err)));
  }
  return NL_STOP;
}

int on_error(sockaddr_nl*, nlmsgerr* error, void* arg) {
  auto* exchange = static_cast<Exchange*>(arg);
  exchange->done = true;
  exchange->err = -error->error;

  // The error follows its header; libnl has checked that the message is whole.
  const auto* hdr =
      reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(error) - NLMSG_HDRLEN);
  const auto payload = span_of(error, static_cast<size_t>(nlmsg_datalen(hdr)));
  size_t skip = sizeof(*error);
  if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
    skip += aligned(error->msg.nlmsg_len) - sizeof(error->msg);
  if ((hdr->nlmsg_flags & NLM_F_ACK_TLVS) && skip <= payload.size())
    exchange->text = extack_text(payload.subspan(skip));
  return NL_STOP;
}

struct CallbackClose {
  void operator()(nl_cb* cb) const { nl_cb_put(cb); }
};
struct MessageFree {
  void operator()(nl_msg* msg) const { nlmsg_free(msg); }
};

// The kernel's words; for what it refuses without any, ours.
std::string error_text(const Exchange& exchange) {
  if (!exchange.text.empty())
    return exchange.text;
  if (exchange.err == EPERM)
    return "Operation not permitted: it needs CAP_NET_ADMIN";
  return std::strerror(exchange.err);
}

[[noreturn]] void fail(int err, const std::string& what) {
  throw Error(err, what + ": " + std::strerror(err));
}

}  // namespace

std::optional<std::span<const std::byte>> Attributes::bytes(int type) const {
  std::optional<std::span<const std::byte>> found;
  walk(data_, [&](int have, std::span<const std::byte> payload) {
    if (have == type)
      found = payload;
    return !found;
  });
  return found;
}

std::optional<uint64_t> Attributes::number(int type) const {
  const auto payload = bytes(type);
  if (!payload)
    return std::nullopt;
  const auto as = [&]<typename T>(T value) {
    std::memcpy(&value, payload->data(), sizeof(value));
    return static_cast<uint64_t>(value);
  };
  switch (payload->size()) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    case 8:
      return as(uint64_t{});
    default:
      return std::nullopt;
  }
}

std::optional<std::string> Attributes::string(int type) const {
  const auto payload = bytes(type);
  if (!payload)
    return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(payload->data());
  return std::string(text, strnlen(text, payload->size()));
}

std::vector<uint64_t> Attributes::numbers(int type) const {
  const auto payload = bytes(type);
  if (!payload)
    return {};
  std::vector<uint64_t> out(payload->size() / sizeof(uint64_t));
  if (!out.empty())
    std::memcpy(out.data(), payload->data(), out.size() * sizeof(uint64_t));
  return out;
}

std::vector<Attributes> Attributes::nests(int type) const {
  std::vector<Attributes> out;
  walk(data_, [&](int have, std::span<const std::byte> payload) {
    if (have == type)
      out.emplace_back(payload);
    return true;
  });
  return out;
}

Request& Request::put(int type, std::span<const std::byte> value) {
  const nlattr head{.nla_len = static_cast<uint16_t>(attribute_header + value.size()),
                    .nla_type = static_cast<uint16_t>(type)};
  const size_t at = data_.size();
  data_.resize(at + aligned(head.nla_len));
  std::memcpy(data_.data() + at, &head, sizeof(head));
  std::memcpy(data_.data() + at + attribute_header, value.data(), value.size());
  return *this;
}

Request& Request::number(int type, uint32_t value) {
  return put(type, std::as_bytes(std::span(&value, 1)));
}

Request& Request::string(int type, const std::string& text) {
  return put(type, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

std::string extack_text(std::span<const std::byte> attributes) {
  return Attributes(attributes).string(NLMSGERR_ATTR_MSG).value_or("");
}

void Family::Closer::operator()(nl_sock* sock) const {
  nl_socket_free(sock);
}

Family::Family(const std::string& name) : sock_(nl_socket_alloc()) {
  if (!sock_)
    fail(ENOMEM, "netlink");
  if (int err = genl_connect(sock_.get()); err < 0)
    throw Error(EIO, std::string("netlink: ") + nl_geterror(err));

  const int on = 1;
  setsockopt(nl_socket_get_fd(sock_.get()), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  setsockopt(nl_socket_get_fd(sock_.get()), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));

  id_ = genl_ctrl_resolve(sock_.get(), name.c_str());
  if (id_ < 0)
    throw Error(ENOENT, "the kernel has no netlink family \"" + name + "\"");
}

std::vector<Bytes> Family::call(uint8_t command, const Request& request) {
  return transact(command, NLM_F_ACK, request);
}

std::vector<Bytes> Family::dump(uint8_t command) {
  return transact(command, NLM_F_DUMP, {});
}

std::vector<Bytes> Family::transact(uint8_t command, int flags, const Request& request) {
  std::unique_ptr<nl_msg, MessageFree> msg(nlmsg_alloc());
  std::unique_ptr<nl_cb, CallbackClose> cb(nl_cb_alloc(NL_CB_CUSTOM));
  if (!msg || !cb)
    fail(ENOMEM, "netlink");

  const auto data = request.data();
  if (!genlmsg_put(msg.get(), NL_AUTO_PORT, NL_AUTO_SEQ, id_, 0, flags, command, 1) ||
      (!data.empty() && nlmsg_append(msg.get(), const_cast<std::byte*>(data.data()), data.size(),
                                     NLMSG_ALIGNTO) < 0))
    fail(ENOMEM, "netlink");

  Exchange exchange;
  nl_cb_set(cb.get(), NL_CB_VALID, NL_CB_CUSTOM, on_message, &exchange);
  nl_cb_set(cb.get(), NL_CB_ACK, NL_CB_CUSTOM, on_ack, &exchange);
  nl_cb_set(cb.get(), NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &exchange);
  nl_cb_err(cb.get(), NL_CB_CUSTOM, on_error, &exchange);

  if (int err = nl_send_auto(sock_.get(), msg.get()); err < 0)
    throw Error(EIO, std::string("netlink: ") + nl_geterror(err));
  // A reply and its acknowledgement come one by one. Without an error of the kernel's,
  // anything negative is libnl's own failure.
  int err = 0;
  while (!exchange.done && err >= 0)
    err = nl_recvmsgs(sock_.get(), cb.get());
  if (exchange.err)
    throw Error(exchange.err, error_text(exchange));
  if (err < 0)
    throw Error(EIO, std::string("netlink: ") + nl_geterror(err));
  return std::move(exchange.messages);
}

}  // namespace qtfs::netlink
