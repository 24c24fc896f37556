/* SPDX-License-Identifier: GPL-2.0-only */
/* What the oldest kernel we build for lacks, in the newest one's words. */
#ifndef QTFS_COMPAT_H
#define QTFS_COMPAT_H

#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/fileattr.h>	/* wants fs.h in front of it */
#include <linux/hrtimer.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/posix_acl.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/splice.h>
#include <linux/timer.h>
#include <linux/uio.h>
#include <linux/writeback.h>
#include <net/net_namespace.h>
#include <net/sock.h>

/* until 6.3: inode operations took the mount's user namespace */
#ifndef QTFS_HAVE_MNT_IDMAP
#define mnt_idmap	user_namespace
#define nop_mnt_idmap	init_user_ns
#endif

static inline void qtfs_fillattr(struct mnt_idmap *idmap, u32 mask,
				 struct inode *inode, struct kstat *stat)
{
#ifdef QTFS_HAVE_FILLATTR_MASK
	generic_fillattr(idmap, mask, inode, stat);
#else /* until 6.6 */
	generic_fillattr(idmap, inode, stat);
#endif
}

/* Whether the caller holds it for writing. */
static inline bool qtfs_rwsem_is_mine(struct rw_semaphore *sem)
{
#ifdef CONFIG_PREEMPT_RT
	unsigned long owner = (unsigned long)READ_ONCE(sem->rwbase.rtmutex.owner);

	return (owner & ~1ul) == (unsigned long)current;
#else
	unsigned long owner = atomic_long_read(&sem->owner);

	/* Bit 0: it is, or was, a reader; bit 1: nobody shall spin. */
	return (owner & ~2ul) == (unsigned long)current;
#endif
}

#ifndef QTFS_HAVE_INODE_CTIME /* until 6.6 */
static inline struct timespec64
inode_set_ctime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_ctime = ts;
	return ts;
}
#endif

#ifndef QTFS_HAVE_INODE_MTIME /* until 6.7 */
static inline struct timespec64
inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}

static inline struct timespec64
inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_atime = ts;
	return ts;
}
#endif

#ifndef QTFS_HAVE_FILEMAP_SPLICE_READ /* until 6.5 */
#define filemap_splice_read generic_file_splice_read
#define copy_splice_read generic_file_splice_read
#endif

/*
 * Keeps the pages of up to @size bytes of user memory where they are: bytes,
 * by which @i has moved, or an error. qtfs_unpin_page() lets each go.
 */
static inline ssize_t qtfs_pin_pages(struct iov_iter *i, struct page **pages,
				     size_t size, unsigned int max,
				     size_t *offset)
{
#ifdef QTFS_HAVE_ITER_EXTRACT
	return iov_iter_extract_pages(i, &pages, size, max, 0, offset);
#else /* until 6.3 */
	return iov_iter_get_pages2(i, pages, size, max, offset);
#endif
}

static inline void qtfs_unpin_page(struct page *page)
{
#ifdef QTFS_HAVE_ITER_EXTRACT
	unpin_user_page(page);
#else
	put_page(page);
#endif
}

/* Lets the mapping have folios of up to @size bytes, where that can be bounded. */
static inline void qtfs_set_folio_max(struct address_space *mapping,
				      size_t size)
{
#ifdef QTFS_HAVE_FOLIO_ORDER_RANGE /* until 6.12 there was no bound */
	mapping_set_folio_order_range(mapping, 0, ilog2(size >> PAGE_SHIFT));
#endif
}

/*
 * A locked folio for writing at @pos, made if need be; up to @len bytes large
 * where the kernel and the mapping can. NULL when memory is short.
 */
static inline struct folio *qtfs_get_write_folio(struct address_space *mapping,
						 loff_t pos, size_t len)
{
	struct folio *folio;

#ifdef QTFS_HAVE_FGF_ORDER
	folio = __filemap_get_folio(mapping, pos >> PAGE_SHIFT,
				    FGP_WRITEBEGIN | fgf_set_order(len),
				    mapping_gfp_mask(mapping));
#else /* until 6.6 */
	folio = __filemap_get_folio(mapping, pos >> PAGE_SHIFT,
				    FGP_LOCK | FGP_WRITE | FGP_CREAT |
				    FGP_STABLE, mapping_gfp_mask(mapping));
#endif
	return IS_ERR(folio) ? NULL : folio;
}

typedef int (*qtfs_write_folio_fn)(struct folio *folio,
				   struct writeback_control *wbc, void *data);

#ifdef QTFS_HAVE_WRITEBACK_ITER
/* Calls @fn, with the folio locked, for each dirty folio that @wbc asks for. */
static inline int qtfs_for_each_dirty_folio(struct address_space *mapping,
					    struct writeback_control *wbc,
					    qtfs_write_folio_fn fn, void *data)
{
	struct folio *folio = NULL;
	int err = 0;

	while ((folio = writeback_iter(mapping, wbc, folio, &err)))
		err = fn(folio, wbc, data);
	return err;
}
#else /* until 6.9 */
struct qtfs_write_folio_ctx {
	qtfs_write_folio_fn fn;
	void *data;
};

static inline int qtfs_write_page(struct page *page,
				  struct writeback_control *wbc, void *data)
{
	struct qtfs_write_folio_ctx *ctx = data;

	return ctx->fn(page_folio(page), wbc, ctx->data);
}

static inline int qtfs_for_each_dirty_folio(struct address_space *mapping,
					    struct writeback_control *wbc,
					    qtfs_write_folio_fn fn, void *data)
{
	struct qtfs_write_folio_ctx ctx = { fn, data };

	return write_cache_pages(mapping, wbc, qtfs_write_page, &ctx);
}
#endif

/*
 * A kernel socket holds no reference on its network namespace; TCP's timers
 * may outlive the mount that made it. Give it one.
 */
static inline void qtfs_sk_hold_net(struct sock *sk)
{
#ifdef QTFS_HAVE_SK_NET_REFCNT_UPGRADE
	sk_net_refcnt_upgrade(sk);
#else /* until 6.12 */
	sk->sk_net_refcnt = 1;
	get_net_track(sock_net(sk), &sk->ns_tracker, GFP_KERNEL);
	sock_inuse_add(sock_net(sk), 1);
#endif
}

/*
 * How we wait for a peer: SIGKILL ends it, and a suspend may begin meanwhile,
 * although the VFS may hold inode locks over it (hence UNSAFE, as NFS has it).
 */
#define QTFS_WAIT_STATE (TASK_KILLABLE | TASK_FREEZABLE_UNSAFE)

/* And how, where what is waited for may never come: any signal ends it. */
#define QTFS_INTERRUPTIBLE_STATE (TASK_INTERRUPTIBLE | TASK_FREEZABLE_UNSAFE)

#ifndef QTFS_HAVE_SPLICE_COPY_FILE_RANGE /* until 6.8 */
static inline ssize_t splice_copy_file_range(struct file *in, loff_t in_pos,
					     struct file *out, loff_t out_pos,
					     size_t len)
{
	return generic_copy_file_range(in, in_pos, out, out_pos, len, 0);
}
#endif

/* until 6.3 locks were part of linux/fs.h */
#ifdef QTFS_HAVE_FILELOCK_H
#include <linux/filelock.h>
#endif

#ifdef QTFS_HAVE_FILE_LOCK_CORE
#define qtfs_fl(fl, field) ((fl)->c.flc_##field)
#define qtfs_for_each_lock(fl, head) list_for_each_entry(fl, head, c.flc_list)
#else /* until 6.9 */
#define qtfs_fl(fl, field) ((fl)->fl_##field)
#define qtfs_for_each_lock(fl, head) list_for_each_entry(fl, head, fl_list)
#endif

#ifndef QTFS_HAVE_LOCKS_INODE_CONTEXT /* until 6.3 */
static inline struct file_lock_context *
locks_inode_context(const struct inode *inode)
{
	return smp_load_acquire(&inode->i_flctx);
}
#endif

/* Page frags of the socket, not of the task, which may be in reclaim. */
static inline void qtfs_sk_own_frag(struct sock *sk)
{
#ifdef QTFS_HAVE_SK_USE_TASK_FRAG /* until 6.2 sk_allocation decided */
	sk->sk_use_task_frag = false;
#endif
}

/* Sockets take references to pages instead of copying them. */
#ifdef MSG_SPLICE_PAGES
#define QTFS_MSG_SPLICE_PAGES MSG_SPLICE_PAGES
#else /* until 6.5 */
#define QTFS_MSG_SPLICE_PAGES 0
#endif

static inline void
qtfs_hrtimer_setup(struct hrtimer *timer,
		   enum hrtimer_restart (*function)(struct hrtimer *),
		   clockid_t clock, enum hrtimer_mode mode)
{
#ifdef QTFS_HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, function, clock, mode);
#else /* until 6.13 */
	hrtimer_init(timer, clock, mode);
	timer->function = function;
#endif
}

#ifndef QTFS_HAVE_VM_FLAGS_CLEAR /* until 6.3 */
static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}

static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

static inline void qtfs_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef QTFS_HAVE_EVENTFD_SIGNAL_ONE
	eventfd_signal(ctx);
#else /* until 6.8 */
	eventfd_signal(ctx, 1);
#endif
}

/* What ->d_automount returns for a mount that fc_mount() gave. */
static inline struct vfsmount *qtfs_automounted(struct vfsmount *mnt)
{
#ifdef QTFS_HAVE_VFS_SUBMOUNT /* until 6.15 the caller drops one reference */
	mntget(mnt);
#endif
	return mnt;
}

#ifndef QTFS_HAVE_FILE_KATTR /* until 6.17 */
#define file_kattr fileattr
#endif

#endif /* QTFS_COMPAT_H */
