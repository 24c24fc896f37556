// SPDX-License-Identifier: GPL-2.0-only
// qtinfo stats [MOUNT]: counters and latencies.
#include "lib/qtfs_netlink.hh"
#include "qtinfo/commands.hh"
#include "qtinfo/mountinfo.hh"

namespace qtfs::qtinfo {

namespace {

// Upper end of the histogram's bucket in which the given part of the calls is reached.
uint64_t percentile_ns(const netlink::OperationStats& op, uint64_t percent) {
  uint64_t seen = 0;
  for (size_t i = 0; i < op.latency.size(); i++) {
    seen += op.latency[i];
    if (seen * 100 >= op.calls * percent)
      return 1000ull << i;
  }
  return 0;
}

Tree operation(const netlink::OperationStats& op) {
  Tree tree;
  tree["operation"] = op.name;
  tree["calls"] = op.calls;
  tree["errors"] = op.errors;
  tree["total_ns"] = op.total_ns;
  tree["mean_ns"] = op.calls ? op.total_ns / op.calls : 0;
  tree["p50_below_ns"] = percentile_ns(op, 50);
  tree["p99_below_ns"] = percentile_ns(op, 99);
  tree["latency_log2_us"] = op.latency;
  return tree;
}

Tree mount_stats(const netlink::MountStats& stats) {
  Tree tree;
  tree["mount"] = stats.mount;
  for (const auto& counter : stats.counters)
    tree[std::string(counter.name)] = counter.value;
  tree["operations"] = Tree::array();
  for (const auto& op : stats.operations)
    tree["operations"].push_back(operation(op));
  return tree;
}

}  // namespace

Tree cmd_stats(const std::string& mount) {
  netlink::Qtfs qtfs;
  if (!mount.empty())
    return mount_stats(qtfs.stats(find_mount(qtfs, mount)));
  Tree tree = Tree::array();
  for (const auto& stats : qtfs.stats())
    tree.push_back(mount_stats(stats));
  return tree;
}

}  // namespace qtfs::qtinfo
