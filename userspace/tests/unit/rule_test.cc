// SPDX-License-Identifier: GPL-2.0-only
// Rules: their globs, and what an engine makes of them.
#include "lib/rule.hh"

#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "tests/unit/fixture.hh"

namespace qtfs {
namespace {

TEST(RuleGlob, NamesMatchWithinThemselves) {
  EXPECT_TRUE(glob_matches("/proc/kcore", "/proc/kcore"));
  EXPECT_TRUE(glob_matches("/srv/*.key", "/srv/a.key"));
  EXPECT_TRUE(glob_matches("/srv/?[0-9]", "/srv/a7"));
  EXPECT_TRUE(glob_matches("/", "/"));
  EXPECT_FALSE(glob_matches("/srv/*", "/srv/a/b"));
  EXPECT_FALSE(glob_matches("/srv/*", "/srv"));
  EXPECT_FALSE(glob_matches("/srv/a", "/srv/ab"));
  EXPECT_TRUE(glob_matches("/srv/*", "/srv/.hidden"));
}

TEST(RuleGlob, TwoStarsAreAnyNumberOfNames) {
  for (const char* path : {"/a/b", "/a/x/b", "/a/x/y/b"})
    EXPECT_TRUE(glob_matches("/a/**/b", path)) << path;
  // What is below a directory is not the directory.
  EXPECT_FALSE(glob_covers("/a/**", "/a"));
  EXPECT_TRUE(glob_matches("/a/**", "/a/x"));
  EXPECT_TRUE(glob_matches("/a/**", "/a/x/y"));
  EXPECT_FALSE(glob_matches("/**", "/"));
  EXPECT_TRUE(glob_matches("/**/b", "/b"));
  EXPECT_FALSE(glob_matches("/a/**/b", "/a/b/c"));
  EXPECT_FALSE(glob_matches("/a/**/b", "/x/a/b"));
}

TEST(RuleGlob, CoversWhatIsBelow) {
  EXPECT_TRUE(glob_covers("/srv/private", "/srv/private"));
  EXPECT_TRUE(glob_covers("/srv/private", "/srv/private/a/b"));
  EXPECT_TRUE(glob_covers("/srv/*/private", "/srv/x/private/a"));
  EXPECT_TRUE(glob_covers("/**/private", "/srv/x/private/a"));
  EXPECT_FALSE(glob_covers("/srv/private", "/srv/privately"));
  EXPECT_FALSE(glob_covers("/srv/private", "/srv"));
}

TEST(RuleGlob, GoesOnBelow) {
  using States = std::vector<bool>;
  EXPECT_EQ((States{false, true, false}), glob_states("/srv/key", "/srv"));
  EXPECT_EQ((States{false, false, true}), glob_states("/srv/key", "/srv/key"));
  EXPECT_EQ((States{false, false, false}), glob_states("/srv/key", "/srv/key/x"));
  EXPECT_EQ((States{true, true, false}), glob_states("/**/key", "/srv/x"));
  EXPECT_EQ(glob_states("/srv/*/key", "/srv/a"), glob_states("/srv/*/key", "/srv/b"));
}

// It would take the age of the universe to try every way.
TEST(RuleGlob, DeepPathsTakeNoTime) {
  std::string glob, path;
  for (int i = 0; i < 20; i++)
    glob += "/**/a";
  for (int i = 0; i < 1500; i++)
    path += "/a";
  EXPECT_TRUE(glob_matches(glob, path));
  EXPECT_FALSE(glob_matches(glob + "/b", path));
}

TEST(RuleText, WordsAreChecked) {
  Rule rule;
  EXPECT_EQ("", read_rule({.action = "deny", .path = "/srv/**/a", .type = "fifo"}, rule));
  EXPECT_EQ((Rule{"/srv/**/a", "", QTFS_TYPE_FIFO, RuleAction::deny}), rule);
  EXPECT_EQ("", read_rule({.action = "hide", .fstype = "proc"}, rule));
  EXPECT_EQ((Rule{"", "proc", 0, RuleAction::hide}), rule);
  EXPECT_EQ("hide", words_of(rule).action);
  EXPECT_EQ("proc", words_of(rule).fstype);
  EXPECT_EQ("", words_of(rule).type);
}

TEST(RuleText, NonsenseIsNamed) {
  Rule rule;
  EXPECT_NE("", read_rule({.action = "deny"}, rule));
  EXPECT_NE("", read_rule({.path = "/srv"}, rule));
  EXPECT_NE("", read_rule({.action = "forbid", .path = "/srv"}, rule));
  EXPECT_NE("", read_rule({.action = "deny", .type = "door"}, rule));
  for (const char* path : {"srv", "/srv/../etc", "/srv/a**"})
    EXPECT_NE("", read_rule({.action = "deny", .path = path}, rule)) << path;
}

class Ruled : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (!engine_)
      return;
    std::filesystem::create_directories(dir_.path("a/private"));
    dir_.write("a/private/key", "secret");
    dir_.write("a/open", "for all");
  }
  uint64_t rule(RuleAction action, const std::string& path, uint32_t type = 0) {
    return engine_->rules().add({.path = path, .fstype = "", .type = type, .action = action});
  }
  int opens(std::string_view path) {
    const auto entry = client_.walk(root_, path);
    return entry ? client_.open(id_of(*entry), QTFS_OPEN_READ).err() : entry.err();
  }
  bool lists(std::string_view dir, const std::string& name, uint32_t flags) {
    const auto page =
        client_.readdir(open(dir, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY), 0, 65536, flags);
    EXPECT_EQ(0, page.err());
    return page && std::any_of(page->entries.begin(), page->entries.end(),
                               [&](const auto& entry) { return entry.name == name; });
  }
};

TEST_F(Ruled, DeniedIsSeenButNotOpened) {
  const uint64_t known = lookup("a/private/key");
  rule(RuleAction::deny, dir_.path("a/private/*"));
  EXPECT_EQ(0, client_.walk(root_, "a/private/key").err());
  EXPECT_EQ(EACCES, opens("a/private/key"));
  EXPECT_EQ(EACCES, client_.open(known, QTFS_OPEN_READ).err()) << "known before the rule";
  EXPECT_EQ(QTFS_MAY_KNOWN, le32toh(client_.walk(root_, "a/private/key")->access));
  EXPECT_EQ(0u, *client_.access(known, QTFS_MAY_READ) & QTFS_MAY_READ);
  EXPECT_EQ(0, opens("a/open"));
  EXPECT_TRUE(lists("a/private", "key", 0));
  EXPECT_EQ("secret", dir_.read("a/private/key"));
}

TEST_F(Ruled, DeniedIsNotChanged) {
  const uint64_t known = lookup("a/private/key");
  const uint64_t dir = lookup("a/private");
  rule(RuleAction::deny, dir_.path("a/private/key"));
  qtfs_wire_setattr set{};
  set.node = htole64(known);
  set.valid = htole32(QTFS_SET_MODE);
  set.mode = htole32(0666);
  EXPECT_EQ(EACCES, client_.setattr(set).err());
  EXPECT_EQ(EACCES, client_.link(known, dir, "other").err());
  EXPECT_EQ(EACCES, client_.unlink(dir, "key").err());
  EXPECT_EQ(EACCES, client_.rename(dir, "key", dir, "other").err());
  EXPECT_EQ(EACCES, client_.rename(lookup("a"), "open", dir, "key").err());
  EXPECT_EQ(EACCES, client_.create(dir, "key", QTFS_OPEN_WRITE | QTFS_OPEN_TRUNC).err());
  EXPECT_EQ("secret", dir_.read("a/private/key"));
  EXPECT_EQ(0, client_.create(dir, "new", QTFS_OPEN_WRITE).err());
}

TEST_F(Ruled, HiddenIsNotThere) {
  const uint64_t known = lookup("a/private/key");
  rule(RuleAction::hide, dir_.path("a/private"));
  EXPECT_EQ(ENOENT, client_.walk(root_, "a/private").err());
  EXPECT_EQ(ENOENT, client_.open(known, QTFS_OPEN_READ).err());
  EXPECT_FALSE(lists("a", "private", 0));
  EXPECT_FALSE(lists("a", "private", QTFS_READDIR_PLUS));
  EXPECT_TRUE(lists("a", "open", QTFS_READDIR_PLUS));
  EXPECT_EQ(EACCES, client_.mkdir(lookup("a"), "private").err());
  EXPECT_EQ(ENOENT, client_.rmdir(lookup("a"), "private").err());
}

// What moved stays what it was: the directories that a rule goes by keep their names.
TEST_F(Ruled, NoRenameIsAWayRound) {
  rule(RuleAction::deny, dir_.path("a/private/*"));
  EXPECT_EQ(EBUSY, client_.rename(root_, "a", root_, "b").err());
  EXPECT_EQ(EBUSY, client_.rename(lookup("a"), "private", root_, "b").err());
  dir_.write("c", "");
  EXPECT_EQ(0, client_.rename(root_, "c", root_, "d").err());
  // The server's own do what they like; the rule goes by what is there now.
  std::filesystem::rename(dir_.path("a/private"), dir_.path("a/public"));
  EXPECT_EQ(0, opens("a/public/key"));
  std::filesystem::rename(dir_.path("a/public"), dir_.path("a/private"));
  EXPECT_EQ(EACCES, opens("a/private/key"));
}

TEST_F(Ruled, DirectoriesMoveWhereTheRulesMeanTheSame) {
  std::filesystem::create_directories(dir_.path("a/.ssh"));
  dir_.write("a/.ssh/id_x", "");
  rule(RuleAction::deny, "/**/.ssh/id_*");
  EXPECT_EQ(EBUSY, client_.rename(lookup("a"), ".ssh", root_, "b").err());
  EXPECT_EQ(0, client_.rename(lookup("a"), ".ssh", root_, ".ssh").err());
  EXPECT_EQ(0, client_.rename(root_, "a", root_, "b").err());
  EXPECT_EQ(0, client_.rename(lookup("b"), "open", root_, "open").err());
  EXPECT_EQ(EACCES, opens(".ssh/id_x"));
}

TEST_F(Ruled, DirectoriesDoNotMoveIntoExceptions) {
  rule(RuleAction::serve, dir_.path("pub/**"));
  rule(RuleAction::deny, "/**/key");
  EXPECT_EQ(EBUSY, client_.rename(lookup("a"), "private", root_, "pub").err());
  EXPECT_EQ(0, client_.rename(lookup("a"), "private", root_, "other").err());
}

TEST_F(Ruled, WhatIsBelowARuleIsPartOfIt) {
  std::filesystem::create_directories(dir_.path("pub"));
  rule(RuleAction::serve, dir_.path("pub"));
  rule(RuleAction::deny, "/**/key");
  EXPECT_EQ(EBUSY, client_.rename(lookup("a"), "private", lookup("pub"), "p").err());
}

TEST_F(Ruled, NothingLeavesWhatIsDenied) {
  std::filesystem::create_directories(dir_.path("a/private/sub"));
  rule(RuleAction::serve, dir_.path("a/private/**"), QTFS_TYPE_DIR);
  const uint64_t dir = lookup("a/private");
  rule(RuleAction::deny, dir_.path("a/private"));
  EXPECT_EQ(EBUSY, client_.rename(dir, "sub", root_, "sub").err());
}

// What is mounted over it is something else; who knew it before knows it by its own place.
TEST_F(Ruled, CoveredIsNotChanged) {
  dir_.write("b", "");
  dir_.write("c", "harmless");
  if (mount(dir_.path("a/private/key").c_str(), dir_.path("b").c_str(), nullptr, MS_BIND, nullptr) <
      0)
    GTEST_SKIP() << "may not mount";
  rule(RuleAction::deny, dir_.path("a/private"));
  const uint64_t known = lookup("b");
  EXPECT_EQ(0, mount(dir_.path("c").c_str(), dir_.path("b").c_str(), nullptr, MS_BIND, nullptr));
  EXPECT_EQ(EACCES, client_.open(known, QTFS_OPEN_READ).err());
  EXPECT_EQ(0, opens("b"));
  client_.close();
  umount2(dir_.path("b").c_str(), MNT_DETACH);
  umount2(dir_.path("b").c_str(), MNT_DETACH);
}

// A node that the client knows, though its name is another file's by now.
TEST_F(Ruled, WhatLostItsNameKeepsItsRule) {
  rule(RuleAction::deny, dir_.path("a/private/key"));
  const uint64_t old = lookup("a/private/key");
  dir_.write("a/private/new", "newer");
  std::filesystem::rename(dir_.path("a/private/new"), dir_.path("a/private/key"));
  EXPECT_EQ(EACCES, client_.open(old, QTFS_OPEN_READ).err());
  dir_.write("a/private/x (deleted)", "");
  EXPECT_EQ(0, opens("a/private/x (deleted)"));
}

TEST_F(Ruled, NothingIsMadeInWhatIsDenied) {
  const uint64_t dir = lookup("a/private");
  rule(RuleAction::deny, dir_.path("a/private"));
  EXPECT_EQ(EACCES, client_.tmpfile(dir, QTFS_OPEN_WRITE).err());
  EXPECT_EQ(EACCES, client_.mkdir(dir, "d").err());
}

TEST_F(Ruled, NoBindMountIsAWayRound) {
  std::filesystem::create_directories(dir_.path("b"));
  if (mount(dir_.path("a/private").c_str(), dir_.path("b").c_str(), nullptr, MS_BIND, nullptr) < 0)
    GTEST_SKIP() << "may not mount";
  rule(RuleAction::deny, dir_.path("a/private/key"));
  EXPECT_EQ(EACCES, opens("b/key"));
  EXPECT_EQ(EACCES, client_.unlink(lookup("b"), "key").err());
  client_.close();
  umount2(dir_.path("b").c_str(), MNT_DETACH);
}

TEST_F(Ruled, TheFirstThatAppliesCounts) {
  rule(RuleAction::serve, dir_.path("a/private/key"));
  const uint64_t number = rule(RuleAction::hide, dir_.path("a/**"));
  EXPECT_EQ(ENOENT, client_.walk(root_, "a/open").err());
  EXPECT_EQ(ENOENT, client_.walk(root_, "a/private").err());
  EXPECT_TRUE(engine_->rules().remove(number));
  EXPECT_FALSE(engine_->rules().remove(number));
  EXPECT_EQ(0, opens("a/open"));
}

TEST_F(Ruled, TypesAndFilesystems) {
  ASSERT_EQ(0, mkfifo(dir_.path("a/fifo").c_str(), 0600));
  rule(RuleAction::deny, "", QTFS_TYPE_FIFO);
  EXPECT_EQ(EACCES, opens("a/fifo"));
  EXPECT_EQ(0, opens("a/open"));
  EXPECT_EQ(EACCES, client_.mknod(lookup("a"), "other", QTFS_TYPE_FIFO, 0600).err());
  EXPECT_EQ(EACCES, client_.rename(lookup("a"), "fifo", root_, "fifo").err());
  engine_->rules().add({.path = "/**", .fstype = "none-such", .action = RuleAction::hide});
  EXPECT_EQ(0, opens("a/open"));
}

TEST_F(Ruled, UncachedIsARegularFile) {
  const uint64_t first = rule(RuleAction::uncached, dir_.path("a/*"));
  const auto entry = client_.walk(root_, "a/open");
  ASSERT_EQ(0, entry.err());
  EXPECT_TRUE(le32toh(entry->attr.flags) & QTFS_ATTR_UNCACHED);
  EXPECT_FALSE(le32toh(entry->attr.flags) & QTFS_ATTR_SYNTHETIC);
  EXPECT_FALSE(le32toh(client_.walk(root_, "a")->attr.flags) & QTFS_ATTR_UNCACHED);
  const uint64_t opened = open("a/open", QTFS_OPEN_WRITE);
  ASSERT_EQ(0, client_.write(opened, 0, "!", QTFS_WRITE_APPEND).err());
  EXPECT_EQ("for all!", dir_.read("a/open"));
  // Also what was known before, and not any more when the rule is gone.
  engine_->rules().remove(first);
  const uint64_t known = lookup("a/private/key");
  const uint64_t number = rule(RuleAction::uncached, dir_.path("a/private/*"));
  EXPECT_TRUE(le32toh(client_.walk(root_, "a/private/key")->attr.flags) & QTFS_ATTR_UNCACHED);
  EXPECT_TRUE(le32toh(client_.getattr(known)->flags) & QTFS_ATTR_UNCACHED);
  engine_->rules().remove(number);
  EXPECT_FALSE(le32toh(client_.walk(root_, "a/private/key")->attr.flags) & QTFS_ATTR_UNCACHED);
}

}  // namespace
}  // namespace qtfs
