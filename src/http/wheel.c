#include "http/wheel.h"

void wheel_init(struct wheel *w, int64_t now)
{
    *w = (struct wheel){ .tick = now / WHEEL_TICK_MS };
}

static void link_timer(struct wheel *w, struct wheel_timer *t, int64_t tick)
{
    unsigned slot = (unsigned)(tick % WHEEL_SLOTS);
    t->tick = tick;
    LIST_INSERT_HEAD(&w->slots[slot], t, link);
    w->filled[slot / 64] |= 1ull << (slot % 64);
}

/* The first tick at which the deadline has passed, or the farthest the wheel reaches. */
static int64_t tick_for(const struct wheel *w, int64_t deadline)
{
    int64_t tick = deadline / WHEEL_TICK_MS + 1;
    int64_t farthest = w->tick + WHEEL_SLOTS - 1;
    if (tick <= w->tick)
        return w->tick + 1;
    return tick > farthest ? farthest : tick;
}

void wheel_set(struct wheel *w, struct wheel_timer *t, int64_t deadline)
{
    t->deadline = deadline;
    if (deadline == WHEEL_NEVER)
        return;
    int64_t tick = tick_for(w, deadline);
    if (t->tick && t->tick <= tick)
        return;
    if (t->tick)
        LIST_REMOVE(t, link);
    link_timer(w, t, tick);
}

void wheel_cancel(struct wheel_timer *t)
{
    if (t->tick)
        LIST_REMOVE(t, link);
    t->tick = 0;
    t->deadline = WHEEL_NEVER;
}

int wheel_timeout(const struct wheel *w, int64_t now)
{
    for (int64_t tick = w->tick + 1; tick < w->tick + WHEEL_SLOTS;) {
        unsigned slot = (unsigned)(tick % WHEEL_SLOTS);
        uint64_t bits = w->filled[slot / 64] >> (slot % 64);
        if (!bits) {
            tick += 64 - slot % 64;
            continue;
        }
        int64_t at = (tick + __builtin_ctzll(bits)) * WHEEL_TICK_MS;
        return at > now ? (int)(at - now) : 0;
    }
    return -1;
}

static void run_slot(struct wheel *w, int64_t now, void (*fire)(void *ctx, struct wheel_timer *t), void *ctx)
{
    unsigned slot = (unsigned)(w->tick % WHEEL_SLOTS);
    struct wheel_slot due = w->slots[slot];
    if (due.lh_first)
        due.lh_first->link.le_prev = &due.lh_first;
    LIST_INIT(&w->slots[slot]);
    w->filled[slot / 64] &= ~(1ull << (slot % 64));
    struct wheel_timer *t;
    while ((t = LIST_FIRST(&due))) {
        LIST_REMOVE(t, link);
        t->tick = 0;
        if (t->deadline <= now)
            fire(ctx, t);
        else if (t->deadline != WHEEL_NEVER)
            link_timer(w, t, tick_for(w, t->deadline));
    }
}

void wheel_run(struct wheel *w, int64_t now, void (*fire)(void *ctx, struct wheel_timer *t), void *ctx)
{
    int64_t last = now / WHEEL_TICK_MS;
    if (last - w->tick > WHEEL_SLOTS)
        w->tick = last - WHEEL_SLOTS;
    while (w->tick < last) {
        w->tick++;
        run_slot(w, now, fire, ctx);
    }
}
