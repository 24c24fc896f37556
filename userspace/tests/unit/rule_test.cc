// SPDX-License-Identifier: GPL-2.0-only
// Rules: their globs, and what an engine makes of them.
#include "lib/rule.hh"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

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

TEST(RuleText, ContentIsOfFiles) {
  Rule rule;
  ASSERT_EQ("", read_rule({.action = "content", .path = "/srv/*", .content = "text"}, rule));
  EXPECT_EQ((Rule{"/srv/*", "", QTFS_TYPE_REG, RuleAction::content, "text"}), rule);
  EXPECT_EQ("content", words_of(rule).action);
  EXPECT_EQ("file", words_of(rule).type);
  EXPECT_EQ("text", words_of(rule).content);
  EXPECT_EQ("", words_of(rule).target);
  // It may be written as well, and there may be no text.
  EXPECT_EQ("", read_rule({.action = "content", .path = "/a", .type = "file"}, rule));
  EXPECT_EQ("", rule.text);
  EXPECT_NE("", read_rule({.action = "content", .path = "/a", .type = "fifo"}, rule));
  EXPECT_NE("", read_rule({.action = "content", .fstype = "proc", .content = "text"}, rule));
  EXPECT_NE("", read_rule({.action = "content", .path = "/a", .target = "/b"}, rule));
  EXPECT_NE("", read_rule({.action = "deny", .path = "/a", .content = "text"}, rule));
  const std::string longest(content_max, 'x');
  EXPECT_EQ("", read_rule({.action = "content", .path = "/a", .content = longest}, rule));
  EXPECT_NE("", read_rule({.action = "content", .path = "/a", .content = longest + "x"}, rule));
}

TEST(RuleText, RedirectLeadsToAnAbsolutePath) {
  Rule rule;
  ASSERT_EQ("", read_rule({.action = "redirect", .path = "/a", .target = "/b"}, rule));
  EXPECT_EQ((Rule{"/a", "", 0, RuleAction::redirect, "/b"}), rule);
  EXPECT_EQ("/b", words_of(rule).target);
  EXPECT_EQ("", words_of(rule).content);
  EXPECT_EQ("", words_of(rule).type);
  const std::string too_long = "/" + std::string(QTFS_PATH_MAX, 'x');
  const std::string wrong[] = {"", "b", std::string("/a\0b", 4), too_long};
  for (const std::string& target : wrong)
    EXPECT_NE("", read_rule({.action = "redirect", .path = "/a", .target = target}, rule));
  RuleWords typed{.action = "redirect", .path = "/a", .type = "file", .target = "/b"};
  EXPECT_NE("", read_rule(typed, rule));
  EXPECT_NE("", read_rule({.action = "redirect", .fstype = "proc", .target = "/b"}, rule));
  EXPECT_NE("", read_rule({.action = "serve", .path = "/a", .target = "/b"}, rule));
}

TEST(RuleText, IsReadFromTheConfiguration) {
  const TempDir dir;
  dir.write("engine.toml",
            "[[special]]\npath = \"/a\"\naction = \"content\"\ncontent = \"one\\ntwo\\n\"\n"
            "[[special]]\npath = \"/b\"\naction = \"redirect\"\ntarget = \"/c\"\n");
  Config config;
  std::string error;
  ASSERT_TRUE(load_config(dir.path("engine.toml"), config, error).ok()) << error;
  ASSERT_EQ(2u, config.rules.size());
  EXPECT_EQ((Rule{"/a", "", QTFS_TYPE_REG, RuleAction::content, "one\ntwo\n"}), config.rules[0]);
  EXPECT_EQ((Rule{"/b", "", 0, RuleAction::redirect, "/c"}), config.rules[1]);
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
  uint64_t content(const std::string& path, const std::string& text) {
    return engine_->rules().add(
        {.path = path, .type = QTFS_TYPE_REG, .action = RuleAction::content, .text = text});
  }
  uint64_t redirect(const std::string& path, const std::string& target) {
    return engine_->rules().add({.path = path, .action = RuleAction::redirect, .text = target});
  }
  // What a listing says of a name, with or without attributes.
  std::optional<DirEntry> listed(std::string_view dir, const std::string& name, uint32_t flags) {
    const auto page =
        client_.readdir(open(dir, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY), 0, 65536, flags);
    EXPECT_EQ(0, page.err());
    if (page)
      for (const DirEntry& entry : page->entries)
        if (entry.name == name)
          return entry;
    return std::nullopt;
  }
  int chmods(uint64_t node) {
    qtfs_wire_setattr set{};
    set.node = htole64(node);
    set.valid = htole32(QTFS_SET_MODE);
    set.mode = htole32(0666);
    return client_.setattr(set).err();
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
  EXPECT_EQ(EACCES, chmods(known));
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

TEST_F(Ruled, ContentIsReadInsteadOfTheFile) {
  content(dir_.path("a/private/key"), "harmless\n");
  EXPECT_EQ("harmless\n", *client_.read_file(root_, "a/private/key"));
  const uint64_t opened = open("a/private/key", QTFS_OPEN_READ);
  const uint64_t other = open("a/private/key", QTFS_OPEN_READ | QTFS_OPEN_DIRECT);
  EXPECT_EQ("less", *client_.read(opened, 4, 4));
  EXPECT_EQ("", *client_.read(opened, 9, 100));
  EXPECT_EQ("", *client_.read(opened, 1 << 20, 100));
  EXPECT_EQ("harm", *client_.read(other, 0, 4));
  // With the name looked up, as the kernel does it.
  const qtfs_wire_lookup in{htole64(lookup("a/private")), htole16(3), 0, 0};
  const qtfs_wire_open it{QTFS_PREV, 0, htole32(QTFS_OPEN_READ), 0, 0};
  const qtfs_wire_read first{QTFS_PREV, 0, htole32(4096), htole32(QTFS_READ_CACHED)};
  Answer answer;
  const auto results = Compound()
                           .add(QTFS_OP_LOOKUP, Body().put(in).name("key"))
                           .add(QTFS_OP_OPEN, Body().put(it))
                           .add(QTFS_OP_READ, Body().put(first))
                           .run(client_, &answer);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(3u, results->size());
  EXPECT_EQ("harmless\n", answer.text());
  EXPECT_EQ("secret", dir_.read("a/private/key"));
  // And nothing at all.
  content(dir_.path("a/open"), "");
  EXPECT_EQ("", *client_.read_file(root_, "a/open"));
}

TEST_F(Ruled, ContentLooksLikeTheFile) {
  ASSERT_EQ(0, chmod(dir_.path("a/private/key").c_str(), 0640));
  ASSERT_EQ(0, chown(dir_.path("a/private/key").c_str(), 7, 8));
  struct stat st {};
  ASSERT_EQ(0, stat(dir_.path("a/private/key").c_str(), &st));
  content(dir_.path("a/private/*"), std::string(10000, 'x'));
  const auto entry = client_.walk(root_, "a/private/key");
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  const auto plus = listed("a/private", "key", QTFS_READDIR_PLUS);
  ASSERT_TRUE(plus && plus->entry);
  EXPECT_EQ(id_of(*entry), id_of(*plus->entry));
  EXPECT_EQ(id_of(*entry), id_of(*client_.node(id_of(*entry))));
  for (const qtfs_wire_attr& attr :
       {entry->attr, opened->attr, plus->entry->attr, *client_.getattr(id_of(*entry)),
        *client_.getattr(id_of(*entry), id_of(*opened)), client_.node(id_of(*entry))->attr}) {
    EXPECT_EQ(0u, le64toh(attr.size));
    EXPECT_EQ(0u, le64toh(attr.blocks));
    EXPECT_EQ(uint32_t{QTFS_TYPE_REG}, le32toh(attr.type));
    EXPECT_EQ(0640u, le32toh(attr.mode));
    EXPECT_EQ(7u, le32toh(attr.uid));
    EXPECT_EQ(8u, le32toh(attr.gid));
    EXPECT_EQ(st.st_ino, le64toh(attr.ino));
    EXPECT_EQ(static_cast<uint64_t>(st.st_mtim.tv_sec), le64toh(attr.mtime));
    EXPECT_TRUE(le32toh(attr.flags) & QTFS_ATTR_UNCACHED);
    EXPECT_FALSE(le32toh(attr.flags) & QTFS_ATTR_DIOALIGN);
  }
}

TEST_F(Ruled, ContentIsNotChanged) {
  const uint64_t known = lookup("a/private/key");
  const uint64_t dir = lookup("a/private");
  content(dir_.path("a/private/key"), "text");
  const uint64_t shown = lookup("a/private/key");
  EXPECT_NE(known, shown);
  for (const uint64_t node : {known, shown}) {
    EXPECT_EQ(EACCES, chmods(node));
    EXPECT_EQ(EACCES, client_.link(node, dir, "other").err());
    EXPECT_EQ(EACCES, client_.setxattr(node, "user.x", "y").err());
  }
  for (const uint32_t flags :
       {QTFS_OPEN_WRITE, QTFS_OPEN_READ | QTFS_OPEN_WRITE, QTFS_OPEN_READ | QTFS_OPEN_TRUNC})
    EXPECT_EQ(EACCES, client_.open(shown, flags).err()) << flags;
  EXPECT_EQ(EACCES, client_.unlink(dir, "key").err());
  EXPECT_EQ(EACCES, client_.rename(dir, "key", dir, "other").err());
  EXPECT_EQ(EACCES, client_.rename(lookup("a"), "open", dir, "key").err());
  EXPECT_EQ(EBUSY, client_.rename(root_, "a", root_, "b").err());
  EXPECT_EQ(EACCES, client_.create(dir, "key", QTFS_OPEN_WRITE | QTFS_OPEN_TRUNC).err());
  EXPECT_EQ(EEXIST, client_.create(dir, "key", QTFS_OPEN_READ | QTFS_OPEN_EXCL).err());
  // Only to read it, O_CREAT does no harm.
  const auto created = client_.create(dir, "key", QTFS_OPEN_READ);
  ASSERT_EQ(0, created.err());
  EXPECT_EQ(shown, id_of(created->entry));
  EXPECT_EQ("text", *client_.read(id_of(created->opened), 0, 100));
  EXPECT_EQ("secret", dir_.read("a/private/key"));
}

TEST_F(Ruled, NothingOfTheFileIsBehindItsContent) {
  const uint64_t dir = lookup("a/private");
  content(dir_.path("a/private/key"), "text");
  const uint64_t node = lookup("a/private/key");
  const uint64_t opened = open("a/private/key", QTFS_OPEN_READ);
  EXPECT_EQ(EBADF, client_.write(opened, 0, "x").err());
  EXPECT_EQ(EBADF, client_.fallocate(opened, 0, 10, 0).err());
  EXPECT_EQ(EOPNOTSUPP, client_.getxattr(node, "user.x").err());
  EXPECT_EQ(EOPNOTSUPP, client_.listxattr(node).err());
  EXPECT_EQ(ENOTTY, client_.getflags(node).err());
  EXPECT_EQ(ENOTTY, client_.getflags(node, opened).err());
  EXPECT_EQ(EACCES, client_.readlink(node).err());
  EXPECT_EQ(ENOTDIR, client_.lookup(node, "x").err());
  for (const uint32_t flags : {0u, QTFS_LOCK_FLOCK, QTFS_LOCK_OFD}) {
    qtfs_wire_lock lock{};
    lock.open = htole64(opened);
    lock.owner = htole64(1);
    lock.end = htole64(~uint64_t{0});
    lock.type = htole32(QTFS_LOCK_READ);
    lock.flags = htole32(flags);
    EXPECT_EQ(ENOLCK, client_.lock(lock).err()) << flags;
  }
  qtfs_wire_copy copy{};
  copy.from_open = htole64(opened);
  copy.to_open = htole64(open("a/open", QTFS_OPEN_WRITE));
  copy.length = htole64(100);
  client_.copy(copy).ok();  // the kernel need not be able to
  EXPECT_EQ(std::string::npos, dir_.read("a/open").find("secret"));
  EXPECT_EQ(0, client_.release(opened).err());
  EXPECT_EQ(0, client_.unlink(lookup("a"), "open").err());
  EXPECT_EQ(EACCES, client_.unlink(dir, "key").err());
}

TEST_F(Ruled, WhoMayReadTheFileMayReadItsContent) {
  const std::string path = dir_.path("a/private/key");
  content(path, "text");
  ASSERT_EQ(0, client_.add_cred({.id = 2, .uid = 1000, .gid = 1000, .caps = 0}).err());
  client_.cred = 2;
  ASSERT_EQ(0, chmod(path.c_str(), 0600));
  const uint64_t node = lookup("a/private/key");
  constexpr uint32_t all = QTFS_MAY_READ | QTFS_MAY_WRITE | QTFS_MAY_EXEC;
  EXPECT_EQ(QTFS_MAY_KNOWN, le32toh(client_.walk(root_, "a/private/key")->access));
  EXPECT_EQ(QTFS_MAY_KNOWN, *client_.access(node, all));
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_EXEC).err());
  ASSERT_EQ(0, chmod(path.c_str(), 0666));
  EXPECT_EQ(QTFS_MAY_KNOWN | QTFS_MAY_READ, le32toh(client_.walk(root_, "a/private/key")->access));
  EXPECT_EQ(QTFS_MAY_KNOWN | QTFS_MAY_READ, *client_.access(node, all));
  EXPECT_EQ("text", *client_.read_file(root_, "a/private/key"));
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_EXEC).err());
  ASSERT_EQ(0, chmod(path.c_str(), 0711));
  const auto opened = client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_EXEC);
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ("text", *client_.read(id_of(*opened), 0, 100));
}

// Who knows it as something else looks its name up again.
TEST_F(Ruled, WhatIsShownIsANodeOfItsOwn) {
  const uint64_t known = lookup("a/private/key");
  const uint64_t dir = lookup("a/private");
  const uint64_t opened = open("a/private/key", QTFS_OPEN_READ);
  const uint64_t text = content(dir_.path("a/private/key"), "text");
  EXPECT_EQ(ESTALE, client_.open(known, QTFS_OPEN_READ).err());
  EXPECT_EQ(ESTALE, client_.open_at(known, dir, "key", QTFS_OPEN_READ).err());
  EXPECT_EQ("secret", *client_.read(opened, 0, 100)) << "open before the rule";
  const uint64_t shown = lookup("a/private/key");
  const uint64_t still = open("a/private/key", QTFS_OPEN_READ);
  EXPECT_EQ(0, client_.open_at(shown, dir, "key", QTFS_OPEN_READ).err());
  engine_->rules().remove(text);
  EXPECT_EQ(known, lookup("a/private/key"));
  EXPECT_EQ(ESTALE, client_.open(shown, QTFS_OPEN_READ).err());
  EXPECT_EQ(ESTALE, client_.open_at(shown, dir, "key", QTFS_OPEN_READ).err());
  EXPECT_EQ(QTFS_MAY_KNOWN, *client_.access(shown, QTFS_MAY_READ));
  EXPECT_EQ("text", *client_.read(still, 0, 100));
  EXPECT_EQ(0, client_.open(known, QTFS_OPEN_READ).err());
  content(dir_.path("a/private/key"), "another");
  EXPECT_EQ(shown, lookup("a/private/key"));
  EXPECT_EQ("another", *client_.read_file(root_, "a/private/key"));
  const uint64_t link = redirect(dir_.path("a/open"), "/b");
  const uint64_t led = lookup("a/open");
  EXPECT_EQ("/b", *client_.readlink(led));
  engine_->rules().remove(link);
  EXPECT_NE(led, lookup("a/open"));
  EXPECT_EQ(ESTALE, client_.readlink(led).err());
  redirect(dir_.path("a/open"), "/c");
  EXPECT_EQ(led, lookup("a/open"));
  EXPECT_EQ("/c", *client_.readlink(led));
}

TEST_F(Ruled, RedirectIsALink) {
  redirect(dir_.path("a/private"), "/srv/other");
  redirect(dir_.path("a/open"), "/srv/file");
  for (const char* name : {"private", "open"}) {
    const auto entry = client_.walk(root_, std::string("a/") + name);
    ASSERT_EQ(0, entry.err());
    const auto plus = listed("a", name, QTFS_READDIR_PLUS);
    ASSERT_TRUE(plus && plus->entry);
    EXPECT_EQ(id_of(*entry), id_of(*plus->entry));
    for (const uint32_t flags : {0u, QTFS_READDIR_PLUS})
      EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, listed("a", name, flags)->type);
    for (const qtfs_wire_attr& attr :
         {entry->attr, plus->entry->attr, *client_.getattr(id_of(*entry))}) {
      EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, le32toh(attr.type));
      EXPECT_EQ(0777u, le32toh(attr.mode));
      EXPECT_EQ(1u, le32toh(attr.nlink));
      EXPECT_EQ(0u, le64toh(attr.size));
      EXPECT_TRUE(le32toh(attr.flags) & QTFS_ATTR_LOCAL);
      EXPECT_FALSE(le32toh(attr.flags) & QTFS_ATTR_UNCACHED);
    }
  }
  EXPECT_EQ("/srv/other", *client_.readlink(lookup("a/private")));
  EXPECT_EQ("/srv/file", *client_.readlink(lookup("a/open")));
}

TEST_F(Ruled, NothingIsReachedThroughARedirect) {
  const uint64_t a = lookup("a");
  redirect(dir_.path("a/private"), "/b");
  redirect(dir_.path("a/open"), "/c");
  for (const char* name : {"private", "open"}) {
    const uint64_t node = lookup(std::string("a/") + name);
    for (const uint32_t flags :
         {QTFS_OPEN_READ, QTFS_OPEN_WRITE, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY,
          QTFS_OPEN_READ | QTFS_OPEN_EXEC}) {
      EXPECT_EQ(ELOOP, client_.open(node, flags).err()) << name << flags;
      EXPECT_EQ(ELOOP, client_.open_at(node, a, name, flags).err()) << name << flags;
    }
    EXPECT_EQ(ECONNREFUSED,
              client_.open(node, QTFS_OPEN_CONNECT | QTFS_OPEN_READ | QTFS_OPEN_WRITE).err());
    EXPECT_EQ(EOPNOTSUPP, client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_PLAIN).err());
    EXPECT_EQ(ELOOP, client_.create(a, name, QTFS_OPEN_READ | QTFS_OPEN_WRITE).err());
    EXPECT_EQ(EEXIST, client_.create(a, name, QTFS_OPEN_WRITE | QTFS_OPEN_EXCL).err());
    EXPECT_EQ(ENOTDIR, client_.lookup(node, "key").err());
    EXPECT_EQ(ENOTDIR, client_.create(node, "key", QTFS_OPEN_READ).err());
    EXPECT_EQ(ENOTDIR, client_.mkdir(node, "d").err());
    EXPECT_EQ(ENOTDIR, client_.unlink(node, "key").err());
    EXPECT_EQ(ENOTDIR, client_.rename(node, "key", a, "key").err());
    EXPECT_EQ(ENOTDIR, client_.parent(node).err());
    EXPECT_EQ(EACCES, client_.tmpfile(node, QTFS_OPEN_WRITE).err());
    EXPECT_EQ(EACCES, client_.link(node, a, "other").err());
    EXPECT_EQ(EACCES, chmods(node));
    EXPECT_EQ(EACCES, client_.setxattr(node, "user.x", "y").err());
    EXPECT_EQ(EOPNOTSUPP, client_.getxattr(node, "user.x").err());
    EXPECT_EQ(EOPNOTSUPP, client_.listxattr(node).err());
    EXPECT_EQ(ENOTTY, client_.getflags(node).err());
    EXPECT_EQ(QTFS_MAY_KNOWN, *client_.access(node, QTFS_MAY_READ | QTFS_MAY_EXEC));
    EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, le32toh(client_.node(node)->attr.type));
  }
}

TEST_F(Ruled, NoWayRoundARedirect) {
  std::filesystem::create_directories(dir_.path("a/private/sub"));
  const uint64_t a = lookup("a");
  const uint64_t dir = lookup("a/private");
  const uint64_t sub = lookup("a/private/sub");
  const uint64_t key = lookup("a/private/key");
  redirect(dir_.path("a/private"), "/b");
  redirect(dir_.path("a/none"), "/b");
  // Nodes from before lead to what is denied.
  EXPECT_EQ(ESTALE, client_.open(dir, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY).err());
  EXPECT_EQ(EACCES, client_.open(key, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(id_of(*client_.lookup(dir, "key")), QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.link(key, a, "other").err());
  EXPECT_EQ(EACCES, client_.rename(dir, "key", a, "key").err());
  EXPECT_EQ(EACCES, client_.create(dir, "new", QTFS_OPEN_WRITE).err());
  EXPECT_EQ(EACCES, client_.parent(sub).err());
  EXPECT_EQ(EACCES, client_.rename(dir, "sub", root_, "sub").err());
  EXPECT_EQ(EACCES, client_.rename(a, "private", root_, "p").err());
  EXPECT_EQ(EBUSY, client_.rename(root_, "a", root_, "b").err());
  EXPECT_EQ(EACCES, client_.rmdir(a, "private").err());
  EXPECT_EQ(EACCES, client_.unlink(a, "private").err());
  EXPECT_EQ(EACCES, client_.mkdir(a, "none").err());
  EXPECT_EQ(EACCES, client_.create(a, "none", QTFS_OPEN_WRITE).err());
  EXPECT_EQ(EACCES, client_.attach(dir_.path("a/private")).err());
  std::filesystem::create_directories(dir_.path("b"));
  if (mount(dir_.path("a").c_str(), dir_.path("b").c_str(), nullptr, MS_BIND, nullptr) < 0)
    GTEST_SKIP() << "may not mount";
  EXPECT_EQ("/b", *client_.readlink(lookup("b/private")));
  client_.close();
  umount2(dir_.path("b").c_str(), MNT_DETACH);
}

// A mount point that is redirected is no mount for the client.
TEST_F(Ruled, MountPointsAreRedirected) {
  if (mount("none", dir_.path("a/private").c_str(), "tmpfs", 0, nullptr) < 0)
    GTEST_SKIP() << "may not mount";
  redirect(dir_.path("a/private"), "/b");
  EXPECT_EQ("/b", *client_.readlink(lookup("a/private")));
  EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, listed("a", "private", QTFS_READDIR_PLUS)->type);
  client_.close();
  umount2(dir_.path("a/private").c_str(), MNT_DETACH);
}

// As with all rules, those that programs of the server make are the file itself.
TEST_F(Ruled, HardLinksAreOtherNodes) {
  content(dir_.path("a/private/key"), "text");
  std::filesystem::create_hard_link(dir_.path("a/private/key"), dir_.path("alias"));
  const uint64_t shown = lookup("a/private/key");
  EXPECT_NE(shown, lookup("alias"));
  EXPECT_EQ("secret", *client_.read_file(root_, "alias"));
  EXPECT_EQ("text", *client_.read_file(root_, "a/private/key"));
  // One is not the other by its name.
  EXPECT_EQ(ESTALE, client_.open_at(shown, root_, "alias", QTFS_OPEN_READ).err());
  EXPECT_EQ(ESTALE,
            client_.open_at(lookup("alias"), lookup("a/private"), "key", QTFS_OPEN_READ).err());
}

class RuledWithFewDescriptors : public Ruled {
 protected:
  void configure(Config& config) override { config.limits.fds_max = 4; }
};

TEST_F(RuledWithFewDescriptors, WhatIsShownIsFoundAgain) {
  constexpr int others = 50;
  for (int i = 0; i < others; i++)
    dir_.write("f" + std::to_string(i), "");
  content(dir_.path("a/private/key"), "text");
  redirect(dir_.path("a/open"), "/b");
  const uint64_t text = lookup("a/private/key");
  const uint64_t link = lookup("a/open");
  // By which the kernel may know the file.
  std::filesystem::create_hard_link(dir_.path("a/private/key"), dir_.path("alias"));
  lookup("alias");
  for (int i = 0; i < others; i++)
    lookup("f" + std::to_string(i));
  EXPECT_EQ("/b", *client_.readlink(link));
  EXPECT_EQ(0u, le64toh(client_.getattr(text)->size));
  const auto opened = client_.open(text, QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ("text", *client_.read(id_of(*opened), 0, 100));
}

}  // namespace
}  // namespace qtfs
