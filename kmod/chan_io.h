/* SPDX-License-Identifier: GPL-2.0-only */
/* Between chan.c, tx.c and rx.c, and nobody else. */
#ifndef QTFS_CHAN_IO_H
#define QTFS_CHAN_IO_H

#include "chan.h"

/* Takes a role if its wake bit is set and nobody has it. */
bool qtfs_chan_role_take(struct qtfs_chan *chan, int busy, int wake);
void qtfs_chan_role_drop(struct qtfs_chan *chan, int busy);

/* Sends what is queued until the link is full. Never waits. */
void qtfs_chan_transmit(struct qtfs_chan *chan);

/*
 * Receives what is there, until it is empty or @until (may be NULL) is
 * completed. Never waits.
 */
void qtfs_chan_receive(struct qtfs_chan *chan, struct qtfs_req *until);

/* expire.c: the work of qtfs_chan.expire. */
void qtfs_chan_expire_work(struct work_struct *work);

/* It is wanted at @when, in jiffies. */
void qtfs_chan_expire_at(struct qtfs_chan *chan, unsigned long when);

/*
 * Takes a request that nobody began to send off the channel, under its lock.
 */
void qtfs_chan_unqueue(struct qtfs_chan *chan, struct qtfs_req *req);

/* Lets somebody receive what came while the role was held for something else. */
void qtfs_chan_wake_receiver(struct qtfs_chan *chan);

/*
 * The engine has set a request aside under the number @park: its tag is free.
 * Return: false where that number stands for another.
 */
bool qtfs_chan_park(struct qtfs_chan *chan, struct qtfs_req *req, u64 park);

/* The request of that number, referenced; NULL if there is none. */
struct qtfs_req *qtfs_chan_parked(struct qtfs_chan *chan, u64 park);

/*
 * Takes a request off the channel, before it completes with @err.
 * Return: whether its caller is gone: then it goes to ->abandoned().
 */
bool qtfs_chan_detach(struct qtfs_chan *chan, struct qtfs_req *req, int err);

#endif /* QTFS_CHAN_IO_H */
