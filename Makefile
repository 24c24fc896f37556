# SPDX-License-Identifier: GPL-2.0
# What a person may want; everything is built under build/.

VERSION := $(shell cat VERSION)
# Modules are built for the running kernel, or for the one of KDIR.
ifdef KDIR
KERNEL := $(shell cat $(KDIR)/include/config/kernel.release)
else
KERNEL ?= $(shell uname -r)
KDIR := /lib/modules/$(KERNEL)/build
KDIR_IS_A_GUESS := y
endif

PREFIX ?= /usr
SBINDIR ?= $(PREFIX)/sbin
# mount(8) looks nowhere else.
HELPERDIR ?= /sbin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= /lib/systemd/system

DKMS_TREE := $(DESTDIR)/usr/src/qtfs-$(VERSION)
MODULES := build/modules/$(KERNEL)
RELEASE := build/release
MANUALS := $(wildcard docs/man/*.[0-9])
COMPLETIONS := qtinfo mount.qtfs
installed_manual = $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $1))/$(notdir $1)

all: modules userspace

help:
	@echo 'all         modules and userspace (the default)'
	@echo 'modules     kernel modules for the running kernel, or KDIR=<headers>'
	@echo 'userspace   the engine, qtfs-agent, qtinfo, mount.qtfs'
	@echo 'demo        two virtual machines show what it does'
	@echo 'shell       a prompt on the client of two such machines'
	@echo 'check       every test; GROUPS="dir file" for some of them'
	@echo 'check-debug     all tests of a mounted tree under KASAN, which takes long'
	@echo 'check-old       all of them on Linux 6.1, which takes long'
	@echo 'check-apps      PostgreSQL, D-Bus, podman across two machines, which takes long'
	@echo 'check-large     a million names, thousands of sockets, which takes long'
	@echo 'check-external  public suites: PJDFSTEST=<dir> XFSTESTS=<dir> LTP=<dir> CTHON04=<dir> FSX=<dir>'
	@echo 'bench       measurements against local files, NFS and a bare server'
	@echo 'lint        what can be found without running anything'
	@echo 'install     DKMS source, programs, manual pages (DESTDIR, PREFIX)'
	@echo 'uninstall   the reverse'
	@echo 'clean       remove build/'

# Objects land beside sources, so a copy is built. Tests build at the same
# places, hence the locks.
ifneq ($(wildcard $(KDIR)/Makefile),)
modules:
	@mkdir -p $(MODULES)
	@rsync -a kmod include $(MODULES)
	flock build/.modules-$(KERNEL).lock \
		$(MAKE) -C $(MODULES)/kmod KDIR=$(abspath $(KDIR))
	@echo 'built: $(MODULES)/kmod/qtfs.ko, qtfs_server.ko'
else
modules:
	@echo 'no kernel headers at $(KDIR): modules are not built.'
	@echo 'Install linux-headers-$(KERNEL), or give KDIR=<headers>.'
	@$(if $(KDIR_IS_A_GUESS)$(filter all,$(or $(MAKECMDGOALS),all)),true,false)
endif

userspace:
	@mkdir -p build
	@test -e $(RELEASE)/build.ninja || flock build/.release.lock \
		cmake --preset release -S userspace
	flock build/.release.lock cmake --build $(RELEASE) \
		--target engine qtfs-agent qtinfo mount.qtfs

demo: packages
	@selftests/vm/demo

shell: packages
	@selftests/vm/lab --shell

check: packages
	@selftests/check $(GROUPS)

# All tests of a mounted tree on the kernel that looks for faults, where some take long.
check-debug: packages
	@selftests/vm/lab --kernel um --one --timeout 7200 -- selftests/run

# All of them on the oldest kernel.
check-old: packages
	@selftests/vm/lab --kernel 6.1 --one --timeout 7200 -- selftests/run

# Servers and their clients, on both machines, by unix sockets.
check-apps: packages
	@scripts/install-packages --apps
	@selftests/vm/lab --kernel 6.12 --timeout 3600 -- selftests/run service

# A directory of a million names, thousands of sockets, without emulation.
check-large: packages
	@selftests/vm/lab --kernel um-plain --one --timeout 7200 -- selftests/run large

# Public suites, from where they were built or, LTP, installed.
check-external: packages
	@$(if $(PJDFSTEST)$(XFSTESTS)$(LTP)$(CTHON04)$(FSX),true,echo 'which suite? see make help'; false)
	@$(if $(PJDFSTEST),selftests/external/check pjdfstest=$(PJDFSTEST) ext4$(comma)tmpfs$(comma)xfs,true)
	@$(if $(XFSTESTS),selftests/external/check xfstests=$(XFSTESTS) -g quick,true)
	@$(if $(LTP),selftests/external/check ltp=$(LTP),true)
	@$(if $(CTHON04),selftests/external/check cthon04=$(CTHON04),true)
	@$(if $(FSX),selftests/external/check fsx=$(FSX),true)

lint: packages
	@selftests/check --lint

bench: packages
	@selftests/bench/run
	@selftests/bench/native

packages:
	@scripts/install-packages

install: userspace install-modules install-programs install-documents

install-modules:
	install -d $(DKMS_TREE)
	rsync -a --delete --delete-excluded --chmod=u=rwX,go=rX \
		--exclude='*.o' --exclude='*.ko' --exclude='*.mod' \
		--exclude='*.mod.c' --exclude='.*' --exclude=modules.order \
		--exclude=Module.symvers kmod include $(DKMS_TREE)
	sed 's/@VERSION@/$(VERSION)/' dkms.conf >$(DKMS_TREE)/dkms.conf
ifeq ($(DESTDIR),)
	dkms status qtfs/$(VERSION) | grep -q . || dkms add qtfs/$(VERSION)
	dkms build --force qtfs/$(VERSION) -k $(KERNEL)
	dkms install --force qtfs/$(VERSION) -k $(KERNEL)
endif

install-programs: userspace
	install -D $(RELEASE)/engine $(DESTDIR)$(SBINDIR)/qtfs-engine
	install -D $(RELEASE)/qtfs-agent $(DESTDIR)$(SBINDIR)/qtfs-agent
	install -D $(RELEASE)/qtinfo $(DESTDIR)$(SBINDIR)/qtinfo
	install -D $(RELEASE)/mount.qtfs $(DESTDIR)$(HELPERDIR)/mount.qtfs

install-documents:
	$(foreach page,$(MANUALS),install -D -m 644 $(page) \
		$(call installed_manual,$(page))$(newline)	)
	install -d $(DESTDIR)$(COMPLETIONDIR) $(DESTDIR)$(UNITDIR)
	install -m 644 $(addprefix userspace/completions/,$(COMPLETIONS)) \
		$(DESTDIR)$(COMPLETIONDIR)
	for part in engine agent; do \
		sed 's|/usr/sbin/|$(SBINDIR)/|' \
			userspace/$$part/qtfs-$$part.service \
			>$(DESTDIR)$(UNITDIR)/qtfs-$$part.service || exit; \
	done
	test -e $(DESTDIR)/etc/qtfs/engine.toml || install -D -m 644 \
		userspace/engine/engine.toml $(DESTDIR)/etc/qtfs/engine.toml

uninstall:
ifeq ($(DESTDIR),)
	-dkms remove qtfs/$(VERSION) --all
endif
	rm -rf $(DKMS_TREE)
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,qtfs-engine qtfs-agent qtinfo)
	rm -f $(DESTDIR)$(HELPERDIR)/mount.qtfs
	rm -f $(foreach page,$(MANUALS),$(call installed_manual,$(page)))
	rm -f $(addprefix $(DESTDIR)$(COMPLETIONDIR)/,$(COMPLETIONS))
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,qtfs-engine.service qtfs-agent.service)
	@echo 'left in place: $(DESTDIR)/etc/qtfs'

clean:
	rm -rf build

comma := ,
define newline


endef

.PHONY: all help modules userspace demo shell check check-debug check-old check-apps check-large check-external lint bench packages clean
.PHONY: install install-modules install-programs install-documents uninstall
