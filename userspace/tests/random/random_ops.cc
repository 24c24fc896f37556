// SPDX-License-Identifier: GPL-2.0-only
// Random operations on two filesystems at once, one of which is right. Where they differ, the
// sequence is made as short as it gets, and printed.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>

#include "tests/random/operation.hh"
#include "tests/random/world.hh"

namespace {

using qtfs::Operation;
using qtfs::World;
using Operations = std::vector<Operation>;

struct Difference {
  size_t at = 0;  // the operation; behind the last: the trees
  std::string subject;
  std::string reference;
};

struct Places {
  std::string subject;
  std::string reference;
};

// Both start from nothing.
std::string fresh(const std::string& place) {
  std::string dir = place + "/tree";
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  if (error) {
    std::printf("# %s: cannot be emptied: %s\n", dir.c_str(), error.message().c_str());
    std::exit(2);
  }
  if (mkdir(dir.c_str(), 0755) < 0) {
    std::perror(dir.c_str());
    std::exit(2);
  }
  return dir;
}

std::optional<Difference> run(const Places& places, const Operations& operations) {
  World subject(fresh(places.subject));
  World reference(fresh(places.reference));
  for (size_t i = 0; i < operations.size(); i++) {
    const std::string one = subject.apply(operations[i]);
    const std::string other = reference.apply(operations[i]);
    if (one != other)
      return Difference{i, one, other};
  }
  const std::string one = subject.tree();
  const std::string other = reference.tree();
  if (one != other)
    return Difference{operations.size(), one, other};
  return std::nullopt;
}

// Leaves out what is not needed for a difference: halves first, single ones last.
Operations shrink(const Places& places, Operations operations) {
  for (size_t part = operations.size() / 2; part > 0; part /= 2) {
    for (size_t at = 0; at + part <= operations.size();) {
      Operations fewer = operations;
      const auto from = fewer.begin() + static_cast<ptrdiff_t>(at);
      fewer.erase(from, from + static_cast<ptrdiff_t>(part));
      if (const auto found = run(places, fewer)) {
        fewer.resize(std::min(fewer.size(), found->at + 1));
        operations = std::move(fewer);
      } else {
        at += part;
      }
    }
  }
  return operations;
}

void explain(const Places& places, uint64_t seed, Operations operations, const Difference& first) {
  std::printf("# seed %llu: a difference at operation %zu\n", static_cast<unsigned long long>(seed),
              first.at);
  operations.resize(std::min(operations.size(), first.at + 1));
  operations = shrink(places, std::move(operations));
  const auto found = run(places, operations);
  for (const Operation& op : operations)
    std::printf("#   %s\n", op.text().c_str());
  if (found)
    std::printf("# subject: %s\n# reference: %s\n", found->subject.c_str(),
                found->reference.c_str());
  else
    std::printf("# it does not come again: %s, reference: %s\n", first.subject.c_str(),
                first.reference.c_str());
}

int search(int argc, char** argv) {
  CLI::App app{"Makes random calls in two directories and compares what comes of them."};
  Places places;
  uint64_t seed = 1;
  uint64_t rounds = 1;
  size_t count = 1000;
  app.add_option("subject", places.subject, "Directory on the filesystem in question")->required();
  app.add_option("reference", places.reference, "Directory on one that is right")->required();
  app.add_option("--seed", seed, "Of the first round");
  app.add_option("--rounds", rounds, "Each with the next seed");
  app.add_option("--count", count, "Operations in a round");
  CLI11_PARSE(app, argc, argv);
  umask(0);
  for (uint64_t round = 0; round < rounds; round++, seed++) {
    const Operations operations = qtfs::make_operations(seed, count);
    if (const auto found = run(places, operations)) {
      explain(places, seed, operations, *found);
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return search(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "random_ops: %s\n", error.what());
    return 2;
  }
}
