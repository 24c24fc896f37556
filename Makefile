# SPDX-License-Identifier: GPL-2.0
# What a person may want; everything is built under build/.

VERSION := $(shell cat VERSION)
KERNEL ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KERNEL)/build
PREFIX ?= /usr
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= /lib/systemd/system
DKMS_TREE := $(DESTDIR)/usr/src/qtfs-$(VERSION)
MODULES_DIR := build/modules/$(KERNEL)
RELEASE := build/release
MANUALS := $(wildcard docs/man/*.[0-9])

all: modules userspace

help:
	@echo 'all         modules and userspace (the default)'
	@echo 'modules     kernel modules for the running kernel, or KDIR=<headers>'
	@echo 'userspace   the engine, qtinfo, mount.qtfs'
	@echo 'demo        two virtual machines show what it does'
	@echo 'shell       a prompt on the client of two such machines'
	@echo 'check       every test; GROUPS="dir file" for some of them'
	@echo 'bench       measurements against local files and NFS'
	@echo 'lint        what can be found without running anything'
	@echo 'install     DKMS source, programs, manual pages (DESTDIR, PREFIX)'
	@echo 'uninstall   the reverse'
	@echo 'clean       remove build/'

# Objects land beside sources, so a copy is built.
modules:
ifneq ($(wildcard $(KDIR)/Makefile),)
	@mkdir -p $(MODULES_DIR)
	@rsync -a kmod include $(MODULES_DIR)
	$(MAKE) -C $(MODULES_DIR)/kmod KDIR=$(KDIR)
	@echo 'built: $(MODULES_DIR)/kmod/qtfs.ko'
else
	@echo 'no kernel headers at $(KDIR): modules are not built.'
	@echo 'Install linux-headers-$(KERNEL), or give KDIR=<headers>.'
endif

userspace: $(RELEASE)/build.ninja
	cmake --build $(RELEASE) --target engine qtinfo mount.qtfs

$(RELEASE)/build.ninja:
	cmake --preset release -S userspace

demo: packages
	@selftests/vm/demo

shell: packages
	@selftests/vm/lab --shell

check: packages
	@selftests/check $(GROUPS)

lint: packages
	@selftests/check --lint

bench: packages
	@selftests/bench/run

packages:
	@scripts/install-packages

install: userspace install-modules install-programs install-documents

install-modules:
	install -d $(DKMS_TREE)
	cp -rT kmod $(DKMS_TREE)/kmod
	cp -rT include $(DKMS_TREE)/include
	sed 's/@VERSION@/$(VERSION)/' dkms.conf >$(DKMS_TREE)/dkms.conf
ifeq ($(DESTDIR),)
	dkms status qtfs/$(VERSION) | grep -q . || dkms add qtfs/$(VERSION)
	dkms build --force qtfs/$(VERSION) -k $(KERNEL)
	dkms install --force qtfs/$(VERSION) -k $(KERNEL)
endif

install-programs:
	install -D $(RELEASE)/engine $(DESTDIR)$(SBINDIR)/qtfs-engine
	install -D $(RELEASE)/qtinfo $(DESTDIR)$(SBINDIR)/qtinfo
	install -D $(RELEASE)/mount.qtfs $(DESTDIR)$(SBINDIR)/mount.qtfs

install-documents:
	$(foreach page,$(MANUALS),install -D -m 644 $(page) \
		$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))$(newline))
	test ! -e scripts/qtinfo.bash || install -D -m 644 scripts/qtinfo.bash \
		$(DESTDIR)$(COMPLETIONS)/qtinfo
	install -D -m 644 scripts/qtfs-engine.service \
		$(DESTDIR)$(UNITDIR)/qtfs-engine.service
	test -e $(DESTDIR)/etc/qtfs/engine.toml || install -D -m 644 \
		scripts/engine.toml $(DESTDIR)/etc/qtfs/engine.toml

uninstall:
ifeq ($(DESTDIR),)
	-dkms remove qtfs/$(VERSION) --all
endif
	rm -rf $(DKMS_TREE)
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,qtfs-engine qtinfo mount.qtfs)
	rm -f $(foreach page,$(notdir $(MANUALS)),\
		$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(page))
	rm -f $(DESTDIR)$(COMPLETIONS)/qtinfo
	rm -f $(DESTDIR)$(UNITDIR)/qtfs-engine.service
	@echo 'left in place: $(DESTDIR)/etc/qtfs'

clean:
	rm -rf build

define newline


endef

.PHONY: all help modules userspace demo shell check lint bench packages clean
.PHONY: install install-modules install-programs install-documents uninstall
