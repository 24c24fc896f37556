// SPDX-License-Identifier: GPL-2.0-only
// Squashed and mapped ids by themselves: who becomes whom, and what the configuration says.
#include "engine/id_map.hh"

#include <gtest/gtest.h>

#include <span>

#include "engine/xattr_ids.hh"
#include "lib/bytes.hh"
#include "tests/temp_dir.hh"
#include "tests/unit/acl_value.hh"

namespace qtfs {

namespace {

constexpr uint32_t last_id = UINT32_MAX - 1;

IdRanges ranges_of(const std::vector<IdRange>& ranges) {
  std::string error;
  auto made = IdRanges::make(ranges, error);
  EXPECT_TRUE(made.ok()) << error;
  return made ? *made : IdRanges();
}

std::unique_ptr<const IdMap> map_of(const ExportConfig& config) {
  std::string error;
  auto made = IdMap::make(config, error);
  EXPECT_TRUE(made.ok()) << error;
  return made ? std::move(*made) : nullptr;
}

Ref<const Cred> caller(uint32_t uid, uint32_t gid, std::vector<gid_t> groups = {}) {
  const uint64_t all_caps = (uint64_t{1} << QTFS_CAP_NR) - 1;
  return make_ref<const Cred>(uid, gid, std::move(groups), all_caps);
}

constexpr uint32_t none = UINT32_MAX;
constexpr const char* acl_name = "system.posix_acl_access";

std::span<std::byte> writable_bytes(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

}  // namespace

TEST(IdRanges, WithoutAnyEveryIdIsItself) {
  const IdRanges ranges = ranges_of({});
  for (const uint32_t id : {0u, 1000u, overflow_id, last_id}) {
    EXPECT_EQ(id, ranges.to_server(id));
    EXPECT_EQ(id, ranges.to_client(id));
  }
}

TEST(IdRanges, BothWaysAndNothingBeside) {
  const IdRanges ranges = ranges_of({{1000, 5000, 10}, {0, 100000, 1}, {2000, 0, 500}});
  const struct {
    uint32_t client;
    uint32_t server;
  } pairs[] = {{1000, 5000}, {1009, 5009}, {0, 100000}, {2000, 0}, {2499, 499}};
  for (const auto& pair : pairs) {
    EXPECT_EQ(pair.server, ranges.to_server(pair.client));
    EXPECT_EQ(pair.client, ranges.to_client(pair.server));
  }
  for (const uint32_t id : {1u, 999u, 1010u, 1999u, 2500u, last_id, none})
    EXPECT_EQ(std::nullopt, ranges.to_server(id)) << id;
  for (const uint32_t id : {500u, 4999u, 5010u, 99999u, 100001u, last_id, none})
    EXPECT_EQ(overflow_id, ranges.to_client(id)) << id;
}

TEST(IdRanges, UpToTheLastId) {
  const IdRanges ranges = ranges_of({{last_id, 0, 1}, {0, last_id, 1}});
  EXPECT_EQ(0u, ranges.to_server(last_id));
  EXPECT_EQ(last_id, ranges.to_server(0));
  EXPECT_EQ(std::nullopt, ranges.to_server(none));
  const IdRanges all = ranges_of({{0, 0, none}});
  EXPECT_EQ(last_id, all.to_server(last_id));
  EXPECT_EQ(std::nullopt, all.to_server(none));
}

TEST(IdRanges, WhatMakesNoSenseIsRefused) {
  const struct {
    std::vector<IdRange> ranges;
    std::string_view words;
  } wrong[] = {
      {{{0, 0, 0}}, "a count of 0"},
      {{{0, 0, 1}, {5, 5, 0}}, "5 to 5"},
      {{{none, 0, 1}}, "go over 4294967294"},
      {{{0, none, 1}}, "go over 4294967294"},
      {{{1, 0, none}}, "go over 4294967294"},
      {{{0, 2, last_id}}, "go over 4294967294"},
      {{{0, 100, 10}, {9, 200, 1}}, "client's ids 0-9 and 9-9"},
      {{{9, 200, 1}, {0, 100, 10}}, "client's ids 0-9 and 9-9"},
      {{{0, 100, 10}, {20, 109, 10}}, "server's ids 100-109 and 109-118"},
      {{{0, 100, 10}, {0, 100, 10}}, "client's ids 0-9 and 0-9"},
      {{{0, 100, 100}, {200, 110, 5}, {300, 400, 1}}, "server's ids 100-199 and 110-114"},
  };
  for (const auto& one : wrong) {
    std::string error;
    EXPECT_EQ(EINVAL, IdRanges::make(one.ranges, error).err());
    EXPECT_NE(error.npos, error.find(one.words)) << error;
  }
  ranges_of({{0, 100, 10}, {10, 90, 10}});  // they only touch
}

TEST(IdMapTest, ThereIsNoneWithoutNeed) {
  EXPECT_FALSE(map_of({.path = "/"}));
  EXPECT_FALSE(map_of({.path = "/", .anon_uid = 1}));
  EXPECT_TRUE(map_of({.path = "/", .squash = Squash::root}));
  EXPECT_TRUE(map_of({.path = "/", .uid_map = {{0, 0, 1}}}));
  EXPECT_TRUE(map_of({.path = "/", .gid_map = {{0, 0, 1}}}));
  std::string error;
  EXPECT_EQ(EINVAL, IdMap::make({.path = "/", .anon_uid = none}, error).err());
  EXPECT_EQ("anon-uid: 4294967295 is no id", error);
}

TEST(IdMapTest, RootIsSquashed) {
  const auto map =
      map_of({.path = "/", .squash = Squash::root, .anon_uid = 4001, .anon_gid = 4002});
  const auto root = map->cred(*caller(0, 0, {0, 5}));
  EXPECT_EQ(4001u, root->uid);
  EXPECT_EQ(4002u, root->gid);
  EXPECT_EQ((std::vector<gid_t>{4002, 5}), root->groups);
  EXPECT_EQ(0u, root->caps);
  const auto other = map->cred(*caller(1000, 1001, {1001, 0}));
  EXPECT_EQ(1000u, other->uid);
  EXPECT_EQ(1001u, other->gid);
  EXPECT_EQ((std::vector<gid_t>{1001, 4002}), other->groups);
  EXPECT_EQ(0u, other->caps);  // else root would have them by that way
  EXPECT_EQ(0u, map->uids().to_client(0));
  EXPECT_EQ(0u, map->uids().to_server(0));
}

TEST(IdMapTest, EverybodyIsSquashed) {
  const auto map = map_of({.path = "/", .squash = Squash::all});
  for (const uint32_t id : {0u, 1000u, overflow_id}) {
    const auto cred = map->cred(*caller(id, id, {id, 5}));
    EXPECT_EQ(overflow_id, cred->uid);
    EXPECT_EQ(overflow_id, cred->gid);
    EXPECT_TRUE(cred->groups.empty());
    EXPECT_EQ(0u, cred->caps);
  }
}

TEST(IdMapTest, CallersAreMapped) {
  const auto map = map_of({.path = "/", .anon_uid = 4001, .uid_map = {{0, 100000, 1000}}});
  const auto root = map->cred(*caller(0, 0, {0}));
  EXPECT_EQ(100000u, root->uid);
  EXPECT_EQ(0u, root->gid);  // of groups there is no map
  EXPECT_EQ((std::vector<gid_t>{0}), root->groups);
  EXPECT_EQ(0u, root->caps);
  EXPECT_EQ(4001u, map->cred(*caller(1000, 0))->uid);
}

TEST(IdMapTest, WhoIsSquashedIsNotMapped) {
  const auto map = map_of({.path = "/",
                           .squash = Squash::root,
                           .anon_uid = 5,
                           .anon_gid = 6,
                           .uid_map = {{0, 100000, 1000}},
                           .gid_map = {{0, 200000, 1000}}});
  const auto root = map->cred(*caller(0, 7, {0, 8, 5000}));
  EXPECT_EQ(5u, root->uid);
  EXPECT_EQ(200007u, root->gid);
  EXPECT_EQ((std::vector<gid_t>{6, 200008, 6}), root->groups);
  EXPECT_EQ(100001u, map->cred(*caller(1, 1))->uid);
}

TEST(IdMapTest, CoversWhatIsNoStricter) {
  const auto root = map_of({.path = "/", .squash = Squash::root});
  const auto all = map_of({.path = "/", .squash = Squash::all});
  const auto other = map_of({.path = "/", .squash = Squash::root, .anon_uid = 7});
  const auto mapped = map_of({.path = "/", .uid_map = {{0, 10, 5}, {5, 20, 5}}});
  const auto turned = map_of({.path = "/", .uid_map = {{5, 20, 5}, {0, 10, 5}}});
  EXPECT_TRUE(root->covers(*root));
  EXPECT_TRUE(all->covers(*root));
  EXPECT_FALSE(root->covers(*all));
  EXPECT_FALSE(other->covers(*root));
  EXPECT_FALSE(mapped->covers(*root));
  EXPECT_FALSE(root->covers(*mapped));
  EXPECT_TRUE(mapped->covers(*turned));
}

TEST(XattrIds, AclsAreTranslated) {
  const auto map =
      map_of({.path = "/", .uid_map = {{0, 100000, 1000}}, .gid_map = {{0, 200000, 1000}}});
  std::string value = acl_for(5, 6);
  EXPECT_EQ(0, xattr_to_server(*map, acl_name, writable_bytes(value)).err());
  EXPECT_EQ(acl_for(100005, 200006), value);
  EXPECT_EQ(0, xattr_to_client(*map, acl_name, writable_bytes(value)).err());
  EXPECT_EQ(acl_for(5, 6), value);
  value = acl_for(7, 200006);
  EXPECT_EQ(0, xattr_to_client(*map, "system.posix_acl_default", writable_bytes(value)).err());
  EXPECT_EQ(acl_for(overflow_id, 6), value);
  value = acl_for(5, 1000);
  EXPECT_EQ(EINVAL, xattr_to_server(*map, acl_name, writable_bytes(value)).err());
}

TEST(XattrIds, WhatIsNoAclStays) {
  const auto map = map_of({.path = "/", .uid_map = {{0, 100000, 1000}}});
  for (const std::string& value :
       {std::string(), std::string("abc"), acl_for(5, 6) + "x", acl_of({{2, 4, 5}}, 1)}) {
    std::string same = value;
    EXPECT_EQ(0, xattr_to_server(*map, acl_name, writable_bytes(same)).err());
    EXPECT_EQ(0, xattr_to_client(*map, acl_name, writable_bytes(same)).err());
    EXPECT_EQ(value, same);
  }
  std::string same = acl_for(5, 6);
  EXPECT_EQ(0, xattr_to_server(*map, "user.acl", writable_bytes(same)).err());
  EXPECT_EQ(acl_for(5, 6), same);
}

TEST(XattrIds, FileCapabilitiesAreForTheirRoot) {
  const std::string name = "security.capability";
  std::string for_all(20, '\1');
  std::string for_one(24, '\1');
  const uint32_t root = 100000;
  for_one.replace(20, 4, reinterpret_cast<const char*>(&root), 4);
  const auto map = map_of({.path = "/", .uid_map = {{0, 100000, 1000}}});
  EXPECT_EQ(ENODATA, xattr_to_client(*map, name, writable_bytes(for_all)).err());
  EXPECT_EQ(0, xattr_to_client(*map, name, writable_bytes(for_one)).err());
  EXPECT_EQ(std::string(20, '\1') + std::string(4, '\0'), for_one);
  const auto squashed = map_of({.path = "/", .squash = Squash::all});
  EXPECT_EQ(0, xattr_to_client(*squashed, name, writable_bytes(for_all)).err());
}

TEST(ExportIds, AreReadFromTheConfiguration) {
  const TempDir dir;
  dir.write("engine.toml",
            "[[export]]\npath = \"/a\"\nsquash = \"root\"\nanon-uid = 5\nanon-gid = 6\n"
            "[[export]]\npath = \"/b\"\n"
            "uid-map = [{ client = 0, server = 100000, count = 65536 }]\n"
            "gid-map = [\n  { client = 0, server = 1, count = 2 },\n"
            "  { client = 3, server = 4, count = 5 },\n]\n");
  Config config;
  std::string error;
  ASSERT_TRUE(load_config(dir.path("engine.toml"), config, error).ok()) << error;
  ASSERT_EQ(2u, config.exports.size());
  EXPECT_EQ(Squash::root, config.exports[0].squash);
  EXPECT_EQ(5u, config.exports[0].anon_uid);
  EXPECT_EQ(6u, config.exports[0].anon_gid);
  EXPECT_TRUE(config.exports[0].uid_map.empty());
  EXPECT_EQ(Squash::none, config.exports[1].squash);
  EXPECT_EQ(overflow_id, config.exports[1].anon_uid);
  EXPECT_EQ((std::vector<IdRange>{{0, 100000, 65536}}), config.exports[1].uid_map);
  EXPECT_EQ((std::vector<IdRange>{{0, 1, 2}, {3, 4, 5}}), config.exports[1].gid_map);
}

TEST(ExportIds, AreReadFromTheCommandLine) {
  std::string error;
  const auto made = parse_export("/srv,ro,squash=all", error);
  ASSERT_TRUE(made.ok()) << error;
  EXPECT_EQ(Squash::all, made->squash);
  EXPECT_TRUE(made->readonly);
  EXPECT_EQ(Squash::none, parse_export("/srv", error)->squash);
  EXPECT_EQ(EINVAL, parse_export("/srv,squash=", error).err());
}

}  // namespace qtfs
