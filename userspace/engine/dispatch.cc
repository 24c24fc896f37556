// SPDX-License-Identifier: GPL-2.0-only
// Step 7 of a request's path: bounds and features are checked here, then its handler runs.
#include "engine/dispatch.hh"

#include <array>

#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

constexpr bool takes_payload(unsigned op) {
  return op == QTFS_OP_WRITE || op == QTFS_OP_SETXATTR || op == QTFS_OP_CRED ||
         op == QTFS_OP_COMPOUND || op == QTFS_OP_IOCTL || op == QTFS_OP_MOUNT;
}

constexpr bool of_connection(unsigned op) {
  return op == QTFS_OP_HELLO || op == QTFS_OP_AUTH || op == QTFS_OP_SESSION ||
         op == QTFS_OP_CANCEL || op == QTFS_OP_BYE || op == QTFS_OP_POLL;
}

struct Served {
  unsigned op;
  Handler run;
};

constexpr Served served[] = {
    {QTFS_OP_LOOKUP, op_lookup},       {QTFS_OP_MKDIR, op_mkdir},
    {QTFS_OP_RMDIR, op_rmdir},         {QTFS_OP_UNLINK, op_unlink},
    {QTFS_OP_RENAME, op_rename},       {QTFS_OP_LINK, op_link},
    {QTFS_OP_SYMLINK, op_symlink},     {QTFS_OP_MKNOD, op_mknod},
    {QTFS_OP_GETATTR, op_getattr},     {QTFS_OP_SETATTR, op_setattr},
    {QTFS_OP_ACCESS, op_access},       {QTFS_OP_READLINK, op_readlink},
    {QTFS_OP_STATFS, op_statfs},       {QTFS_OP_OPEN, op_open},
    {QTFS_OP_CREATE, op_create},       {QTFS_OP_TMPFILE, op_tmpfile},
    {QTFS_OP_RELEASE, op_release},     {QTFS_OP_READ, op_read},
    {QTFS_OP_WRITE, op_write},         {QTFS_OP_FSYNC, op_fsync},
    {QTFS_OP_FALLOCATE, op_fallocate}, {QTFS_OP_SEEK, op_seek},
    {QTFS_OP_COPY, op_copy},           {QTFS_OP_READDIR, op_readdir},
    {QTFS_OP_GETXATTR, op_getxattr},   {QTFS_OP_SETXATTR, op_setxattr},
    {QTFS_OP_LISTXATTR, op_listxattr}, {QTFS_OP_REMOVEXATTR, op_removexattr},
    {QTFS_OP_ATTACH, op_attach},       {QTFS_OP_CRED, op_cred},
    {QTFS_OP_CRED_PUT, op_cred_put},   {QTFS_OP_FORGET, op_forget},
    {QTFS_OP_ABANDON, op_abandon},     {QTFS_OP_PING, op_ping},
    {QTFS_OP_PUSH_ACK, op_push_ack},   {QTFS_OP_COMPOUND, op_compound},
    {QTFS_OP_LOCK, op_lock},           {QTFS_OP_UNLOCK, op_unlock},
    {QTFS_OP_GETLOCK, op_getlock},     {QTFS_OP_GETFLAGS, op_getflags},
    {QTFS_OP_SETFLAGS, op_setflags},   {QTFS_OP_FIEMAP, op_fiemap},
    {QTFS_OP_DEDUPE, op_dedupe},       {QTFS_OP_NODE, op_node},
    {QTFS_OP_PARENT, op_parent},       {QTFS_OP_IOCTL, op_ioctl},
    {QTFS_OP_SHUTDOWN, op_shutdown},   {QTFS_OP_MOUNT, op_mount},
    {QTFS_OP_UMOUNT, op_umount},       {QTFS_OP_BIND, op_bind},
    {QTFS_OP_ACCEPT, op_accept},       {QTFS_OP_GIVE, op_give},
    {QTFS_OP_TAKE, op_take},
};

constexpr std::array<OpInfo, QTFS_OP_NR> make_table() {
  std::array<OpInfo, QTFS_OP_NR> table{};
#define X(number, NAME, op, req, rep)                                                 \
  table[number] = {#NAME, static_cast<uint32_t>(req), nullptr, takes_payload(number), \
                   of_connection(number)};
  QTFS_OP_LIST(X)
#undef X
  for (const Served& entry : served)
    table[entry.op].run = entry.run;
  return table;
}

constexpr std::array<OpInfo, QTFS_OP_NR> table = make_table();
constexpr OpInfo unknown{};

}  // namespace

const OpInfo& op_info(unsigned op) {
  return op < table.size() ? table[op] : unknown;
}

void interrupt_call(Call& call) {
  call.status = Status();
  call.lock_wait.reset();
  if (call.compound.next > 0)
    interrupt_compound(call);
  else
    call.status = Status::error(EINTR);
}

Status run_call(Call& call) {
  const OpInfo& info = op_info(call.op);
  if (!info.run)
    return Status::error(EOPNOTSUPP);
  const Reader whole = call.body;
  call.wait_open = {};
  const Status status = info.run(call);
  if (status.is_deferred())
    call.body = whole;
  return status;
}

}  // namespace qtfs
