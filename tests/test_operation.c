/* test_operation.c - transactions: all of their parts or none; optimistic calls */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"

enum { BANK_POOR = WISP_E_USER - 1, BANK_NOTES = 64 };

/* A server with accounts, which are orbs whose health is money, a property of its own and one of
   anyone, and ends that trade. What the ends are told is written down in their notes. */
typedef struct bank {
    orbs        t;
    wisp_peer   to_server;           /* of the first end */
    wisp_object accounts[4];
    char        notes[2048];
    int         ran, undone, order[BANK_NOTES];
    bool        kicks;
    wisp_result deferred, flushed, begun, sent;
} bank;

typedef struct bank_words { char words[3][60]; } bank_words;

static bank *bank_now;

static void bank_note(const char *format, ...) {
    size_t used = strlen(bank_now->notes);
    va_list list;
    va_start(list, format);
    vsnprintf(bank_now->notes + used, sizeof bank_now->notes - used, format, list);
    va_end(list);
}

static const char *bank_noted(void) {
    static char text[2048];
    strcpy(text, bank_now->notes);
    bank_now->notes[0] = 0;
    return text;
}

static void bank_take_back(void *user) {
    bank_now->order[bank_now->undone++ % BANK_NOTES] = (int)(intptr_t)user;
}

/* pay(account, amount): an event, which refuses what is not there. */
static void bank_pay(wisp_event *event) {
    wisp_object o = bank_now->accounts[wisp_arg_int(event, 0) & 3];
    int amount = (int)wisp_arg_int(event, 1);
    orb *account = (orb *)wisp_object_edit(event->w, o);
    bank_now->ran++;
    CHECK_EQ_INT(wisp_undo(event, bank_take_back, (void *)(intptr_t)amount), WISP_OK);
    if (!account || account->health < amount) {
        CHECK_EQ_INT(wisp_refuse(event, BANK_POOR, "%d is too much", amount), WISP_OK);
        return;
    }
    account->health = (uint16_t)(account->health - amount);
    wisp_fire_all(event->w, "paid", wisp_int(amount));
}

/* buy(price): a call; answers with what is left in stock. */
static void bank_buy(wisp_event *event) {
    wisp *w = event->w;
    int64_t stock = wisp_get(w, "stock")->as.integer;
    bank_now->ran++;
    if (bank_now->kicks) wisp_leave(w, event->peer, "kicked");
    if (bank_now->kicks) return;
    wisp_undo(event, bank_take_back, (void *)(intptr_t)(1000 + wisp_arg_int(event, 0)));
    if (wisp_arg_int(event, 0) < 0) {
        wisp_fail(event, BANK_POOR - 1, "no such price");
        return;
    }
    wisp_set(w, "stock", wisp_int(stock - 1));
    if (stock == 8) wisp_despawn(w, bank_now->accounts[3]);
    if (stock == 7) orbs_spawn(&bank_now->t, 5, "bought");
    wisp_reply(event, wisp_int(stock - 1), wisp_string("left"));
}

static void bank_odd(wisp_event *event) {
    bank_now->deferred = wisp_defer(event).id ? WISP_OK : wisp_why(event->w);
    bank_now->flushed = wisp_flush_batches(event->w);
    bank_now->begun = wisp_begin(event->w, event->peer);
}

static void bank_replied(wisp_event *event) {
    bank_note("%s=%d:%d%s%s ", event->name, event->result, event->count,
              event->result ? "," : "", event->result <= WISP_E_USER ? event->text : "");
    if (event->user) wisp_cancel(event->w, *(wisp_call *)event->user);
}

static void bank_done(wisp_event *event) {
    bank_note("done=%d", event->result);
    if (event->count) bank_note("@%d", (int)wisp_arg_int(event, 0));
    if (event->result <= WISP_E_USER) bank_note(",%s", event->text);
    bank_note(" ");
}

static void bank_paid(wisp_event *event) { bank_note("paid%d ", (int)wisp_arg_int(event, 0)); }

static void bank_property(wisp *w, const char *name, int authority, int64_t initial) {
    wisp_property_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.authority = authority;
    desc.initial = wisp_int(initial);
    CHECK_EQ_INT(wisp_property(w, name, &desc), WISP_OK);
}

static void bank_properties(wisp *w) {
    bank_property(w, "stock", WISP_AUTHORITY_SERVER, 10);
    bank_property(w, "offer", WISP_AUTHORITY_ANYONE, 3);
}

static void bank_open(bank *b) {
    memset(b, 0, sizeof *b);
    bank_now = b;
    orbs_open(&b->t);
}

static void bank_start(bank *b) {
    orbs_server(&b->t);
    bank_properties(b->t.server);
    for (int i = 0; i < 4; i++) b->accounts[i] = orbs_spawn(&b->t, (float)i, "account");
    wisp_on(b->t.server, "pay", bank_pay, NULL);
    wisp_on_invoke(b->t.server, "buy", bank_buy, NULL);
    wisp_on_invoke(b->t.server, "odd", bank_odd, NULL);
    for (int i = 0; i < 2; i++) {
        int end = orbs_join(&b->t);
        bank_properties(b->t.ends[end]);
        wisp_on(b->t.ends[end], "paid", bank_paid, NULL);
    }
    world_run(&b->t.w, 0.5);
    b->to_server = world_peer(b->t.ends[0], 0);
}

/* A number for all that a server has, to see that nothing has changed. */
static uint64_t bank_hash(const bank *b) {
    uint64_t sum = (uint64_t)wisp_get(b->t.server, "stock")->as.integer * 31 +
                   (uint64_t)wisp_get(b->t.server, "offer")->as.integer;
    for (wisp_object o = wisp_first(b->t.server, b->t.of_server); o.id;
         o = wisp_next(b->t.server, o)) {
        const wisp__object *object = wisp__object_get(b->t.server, o);
        orb state;
        CHECK(wisp_view(b->t.server, o, WISP_NOW, &state));
        sum = sum * 1000003 + o.id + state.health;
        for (size_t i = 0; i < wisp__encoded_size(object->row); i++)
            sum = sum * 31 + ((const uint8_t *)object->row->bytes)[i];
    }
    return sum;
}

static void pay(bank *b, int account, int amount) {
    CHECK_EQ_INT(wisp_fire(b->t.ends[0], "pay", b->to_server, wisp_int(account), wisp_int(amount)),
                 WISP_OK);
}

static wisp_call buy(bank *b, int price) {
    return wisp_invoke(b->t.ends[0], "buy", b->to_server, bank_replied, NULL, wisp_int(price));
}

static void commit(bank *b) {
    CHECK(wisp_commit(b->t.ends[0], bank_done, NULL).id != 0);
}

static void bank_agrees(bank *b) {
    for (int i = 0; i < b->t.count; i++) {
        CHECK(orbs_agree(&b->t, i));
        CHECK_EQ_INT(wisp_get(b->t.ends[i], "stock")->as.integer,
                     wisp_get(b->t.server, "stock")->as.integer);
        CHECK_EQ_INT(wisp_get(b->t.ends[i], "offer")->as.integer,
                     wisp_get(b->t.server, "offer")->as.integer);
    }
}

static int health(bank *b, int account) {
    orb state;
    return wisp_view(b->t.server, b->accounts[account], WISP_NOW, &state) ? state.health : -1;
}

TEST(all_parts_run_as_one_and_each_call_is_answered) {
    bank b;
    bank_open(&b);
    bank_start(&b);
    CHECK_EQ_INT(wisp_begin(b.t.ends[0], b.to_server), WISP_OK);
    pay(&b, 0, 30);
    CHECK(buy(&b, 5).id != 0);
    pay(&b, 1, 40);
    CHECK(buy(&b, 6).id != 0);
    CHECK_EQ_INT(wisp_set(b.t.ends[0], "offer", wisp_int(9)), WISP_OK);
    CHECK_EQ_INT(wisp_get(b.t.ends[0], "offer")->as.integer, 3);
    world_run(&b.t.w, 0.2);
    CHECK_EQ_INT(b.ran, 0);                    /* nothing is sent before the commit */
    commit(&b);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_INT(b.ran, 4);
    CHECK_EQ_STR(bank_noted(), "paid30 paid40 buy=0:2 buy=0:2 done=0 paid30 paid40 ");
    CHECK_EQ_INT(health(&b, 0), 70);
    CHECK_EQ_INT(health(&b, 1), 60);
    CHECK_EQ_INT(wisp_get(b.t.server, "stock")->as.integer, 8);
    CHECK_EQ_INT(wisp_get(b.t.server, "offer")->as.integer, 9);
    CHECK_EQ_INT(b.undone, 0);
    CHECK_EQ_INT(world_total(b.t.ends[0]).calls_pending, 0);
    bank_agrees(&b);
    world_close(&b.t.w);
}

TEST(the_first_refusal_takes_all_back_and_is_named) {
    bank b;
    uint64_t before;
    bank_open(&b);
    bank_start(&b);
    for (int i = 0; i < 2; i++) buy(&b, 1);
    world_run(&b.t.w, 0.3);
    bank_noted();
    before = bank_hash(&b);
    b.ran = 0;
    wisp_begin(b.t.ends[0], b.to_server);
    pay(&b, 0, 30);
    pay(&b, 0, 20);
    buy(&b, 5);                                /* despawns account 3 */
    buy(&b, 6);                                /* spawns */
    wisp_set(b.t.ends[0], "offer", wisp_int(9));
    pay(&b, 0, 60);                            /* too much: only 50 are left */
    buy(&b, 7);
    commit(&b);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_INT(b.ran, 5);
    CHECK_EQ_STR(bank_noted(), "buy=-23:0, buy=-23:0, buy=-23:0, done=-1001@5,60 is too much ");
    CHECK_EQ_INT(b.undone, 5);
    CHECK_EQ_INT(b.order[0], 60);
    CHECK_EQ_INT(b.order[1], 1006);
    CHECK_EQ_INT(b.order[2], 1005);
    CHECK_EQ_INT(b.order[3], 20);
    CHECK_EQ_INT(b.order[4], 30);
    CHECK(bank_hash(&b) == before);
    CHECK(wisp_view(b.t.ends[1], b.accounts[3], WISP_NOW, &b.t.logs[1].state));
    CHECK_EQ_INT(b.t.logs[1].despawned, 0);
    bank_agrees(&b);
    wisp_begin(b.t.ends[0], b.to_server);      /* one that fails is named to its own reply too */
    buy(&b, 5);
    buy(&b, -1);
    commit(&b);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_STR(bank_noted(), "buy=-23:0, buy=-1002:0,no such price done=-1002@1,no such price ");
    CHECK(bank_hash(&b) == before);
    world_close(&b.t.w);
}

TEST(misuse_has_codes_of_its_own) {
    bank b;
    wisp *w;
    wisp_peer none = { 77 };
    wisp_call call;
    bank_open(&b);
    b.t.w.desc.limits.message_bytes = 4096;
    bank_start(&b);
    w = b.t.ends[0];
    CHECK_EQ_INT(wisp_begin(NULL, none), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_abort(NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_commit(NULL, NULL, NULL).id, 0);
    CHECK_EQ_INT(wisp_undo(NULL, bank_take_back, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_abort(w), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_commit(w, bank_done, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(w), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_begin(w, none), WISP_E_STALE);
    CHECK_EQ_INT(wisp_begin(w, b.to_server), WISP_OK);
    CHECK_EQ_INT(wisp_begin(w, b.to_server), WISP_E_BUSY);
    CHECK_EQ_INT(wisp_commit(w, bank_done, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(w), WISP_E_CANCELLED);       /* it was empty */
    CHECK_EQ_INT(wisp_begin(w, b.to_server), WISP_OK);
    call = buy(&b, 1);
    wisp_cancel(w, call);
    CHECK_EQ_INT(wisp_abort(w), WISP_OK);
    world_run(&b.t.w, 0.1);
    CHECK_EQ_STR(bank_noted(), "buy=-23:0, ");
    CHECK_EQ_INT(wisp_begin(w, b.to_server), WISP_OK);  /* one that never ends is bounded */
    for (int i = 0; i < 2000; i++) wisp_fire(w, "pay", b.to_server, wisp_int(i), wisp_int(i));
    CHECK_EQ_INT(wisp_fire(w, "pay", b.to_server, wisp_int(0), wisp_int(0)), WISP_E_TOO_BIG);
    CHECK(w->bundle.room <= 4096 + 64);
    buy(&b, 2);
    CHECK_EQ_INT(wisp_commit(w, bank_done, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(w), WISP_E_TOO_BIG);
    wisp_begin(w, b.to_server);
    CHECK_EQ_INT(wisp_fire(w, "pay", b.to_server, wisp_array(NULL, -1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_commit(w, bank_done, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(w), WISP_E_ARGUMENT);
    world_run(&b.t.w, 0.1);
    CHECK_EQ_INT(b.ran, 0);
    CHECK_EQ_STR(bank_noted(), "buy=-23:0, ");
    world_close(&b.t.w);
}

TEST(inside_of_one_nothing_is_deferred_flushed_or_begun) {
    bank b;
    bank_open(&b);
    bank_start(&b);
    wisp_begin(b.t.ends[0], b.to_server);
    wisp_invoke(b.t.ends[0], "odd", b.to_server, bank_replied, NULL);
    commit(&b);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_INT(b.deferred, WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(b.flushed, WISP_E_BUSY);
    CHECK_EQ_INT(b.begun, WISP_E_BUSY);
    CHECK_EQ_STR(bank_noted(), "odd=0:0 done=0 ");
    world_close(&b.t.w);
}

TEST(rate_tokens_are_taken_at_once_or_not_at_all) {
    bank b;
    wisp_config config;
    bank_open(&b);
    bank_start(&b);
    memset(&config, 0, sizeof config);
    config.rate_limit = 0.5;
    config.rate_burst = 3;
    CHECK_EQ_INT(wisp_use_config(b.t.server, &config, "pay"), WISP_OK);
    wisp_begin(b.t.ends[0], b.to_server);      /* the sender knows of no limit */
    for (int i = 0; i < 4; i++) pay(&b, 0, 1);
    commit(&b);
    world_run(&b.t.w, 0.2);
    CHECK_EQ_STR(bank_noted(), "done=-26@3 ");
    CHECK_EQ_INT(b.ran, 0);
    wisp_begin(b.t.ends[0], b.to_server);      /* no token was used: there are 3 */
    for (int i = 0; i < 3; i++) pay(&b, 0, 1);
    commit(&b);
    world_run(&b.t.w, 0.2);
    CHECK_EQ_STR(bank_noted(), "paid1 paid1 paid1 done=0 paid1 paid1 paid1 ");
    CHECK_EQ_INT(wisp_use_config(b.t.ends[0], &config, "pay"), WISP_OK);
    wisp_begin(b.t.ends[0], b.to_server);
    for (int i = 0; i < 3; i++) pay(&b, 0, 1);
    CHECK_EQ_INT(wisp_fire(b.t.ends[0], "pay", b.to_server, wisp_int(0)), WISP_E_RATE);
    CHECK_EQ_INT(wisp_commit(b.t.ends[0], bank_done, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(b.t.ends[0]), WISP_E_RATE);
    world_close(&b.t.w);
}

static void bank_blob(wisp_event *event) {
    int size = 0;
    wisp_arg_bytes(event, 0, &size);
    bank_now->ran += size;
    wisp_reply(event, wisp_bytes(wisp_arg_bytes(event, 0, &size), size));
}

TEST(one_may_be_larger_than_a_packet) {
    static uint8_t blob[3000];
    bank b;
    bank_open(&b);
    bank_start(&b);
    wisp_on_invoke(b.t.server, "blob", bank_blob, NULL);
    wisp_begin(b.t.ends[0], b.to_server);
    for (int i = 0; i < 20; i++)
        wisp_invoke(b.t.ends[0], "blob", b.to_server, bank_replied, NULL, wisp_bytes(blob, 3000));
    pay(&b, 2, 5);
    commit(&b);
    world_run(&b.t.w, 2);
    CHECK_EQ_INT(b.ran, 60001);
    CHECK(strstr(b.notes, "done=0") != NULL);
    CHECK_EQ_INT(health(&b, 2), 95);
    CHECK_EQ_INT(b.t.ends[0]->bundle.room, 0);
    world_close(&b.t.w);
}

/* What a part may be refused for, each with its code and the index of the part. */
static wisp_result bank_hook(wisp_event *event) {
    return (wisp_result)wisp_arg_int(event, 1) == 13 ? WISP_HOLD
           : wisp_arg_int(event, 1) == 14 ? WISP_DROP : WISP_PASS;
}

TEST(every_way_to_refuse_a_part_refuses_all) {
    bank b;
    wisp_middleware hook = { "hook", "pay", bank_hook, NULL, NULL, NULL };
    uint64_t before;
    wisp *w;
    bank_open(&b);
    bank_start(&b);
    w = b.t.ends[0];
    wisp_use(b.t.server, &hook);
    wisp_remote_named(b.t.server, "idle");
    before = bank_hash(&b);
    for (int i = 0; i < 6; i++) {
        static const char *const wanted[] = { "done=-25@1 ", "done=-25@1 ", "done=-8@1 ",
                                              "done=-43@1 ", "done=-46@1 ", "done=-24@1 " };
        wisp_begin(w, b.to_server);
        pay(&b, 0, 10);
        if (i == 0) wisp_fire(w, "idle", b.to_server);
        if (i == 1) wisp_invoke(w, "idle", b.to_server, NULL, NULL);
        if (i == 2) pay(&b, 0, 13);
        if (i == 3) pay(&b, 0, 14);
        if (i == 4) CHECK_EQ_INT(wisp_set(w, "stock", wisp_int(1)), WISP_E_AUTHORITY);
        if (i == 5) wisp_fire(w, "nobody has it", b.to_server);
        if (i == 4) CHECK_EQ_INT(wisp_commit(w, bank_done, NULL).id, 0);
        else commit(&b);
        if (i == 4) CHECK_EQ_INT(wisp_why(w), WISP_E_AUTHORITY);
        world_run(&b.t.w, 0.3);
        CHECK_EQ_STR(bank_noted(), i == 4 ? "" : wanted[i]);
        CHECK(bank_hash(&b) == before);
    }
    bank_agrees(&b);
    world_close(&b.t.w);
}

static wisp_result bank_judge(wisp_event *event) {
    return wisp_arg_int(event, 0) > 50 ? (int)BANK_POOR : (int)WISP_OK;
}

TEST(properties_are_set_whole_and_in_part_as_their_judge_says) {
    bank b;
    wisp_property_desc desc;
    wisp_pair pairs[2];
    memset(&desc, 0, sizeof desc);
    bank_open(&b);
    bank_start(&b);
    desc.authority = WISP_AUTHORITY_OWNER;
    desc.owner = wisp_player_of(b.t.server, world_peer(b.t.server, 0));
    desc.judge = bank_judge;
    desc.initial = wisp_int(1);
    wisp_property(b.t.server, "judged", &desc);
    wisp_property(b.t.ends[0], "judged", &desc);
    pairs[0].key = "a";
    pairs[0].value = wisp_int(1);
    pairs[1].key = "b";
    pairs[1].value = wisp_int(2);
    desc.authority = WISP_AUTHORITY_ANYONE;
    desc.judge = NULL;
    desc.initial = wisp_map(pairs, 2);
    wisp_property(b.t.server, "parts", &desc);
    wisp_property(b.t.ends[0], "parts", &desc);
    world_run(&b.t.w, 0.5);
    for (int i = 0; i < 2; i++) {
        wisp_begin(b.t.ends[0], b.to_server);
        CHECK_EQ_INT(wisp_set_in(b.t.ends[0], "parts", "b", wisp_int(7 + i)), WISP_OK);
        CHECK_EQ_INT(wisp_set(b.t.ends[0], "judged", wisp_int(40 + 20 * i)), WISP_OK);
        commit(&b);
        world_run(&b.t.w, 0.3);
        CHECK_EQ_STR(bank_noted(), i ? "done=-1001@1,application error " : "done=0 ");
        for (int end = 0; end < 2; end++) {
            wisp *w = end ? b.t.ends[0] : b.t.server;
            CHECK_EQ_INT(wisp_get(w, "judged")->as.integer, 40);
            CHECK_EQ_INT(wisp_field_of(wisp_get(w, "parts"), "b")->as.integer, 7);
            CHECK_EQ_INT(wisp_field_of(wisp_get(w, "parts"), "a")->as.integer, 1);
        }
    }
    world_close(&b.t.w);
}

TEST(one_ends_with_a_code_when_a_peer_leaves) {
    bank b;
    uint64_t before;
    bank_open(&b);
    bank_start(&b);
    before = bank_hash(&b);
    wisp_begin(b.t.ends[0], b.to_server);
    pay(&b, 0, 10);
    buy(&b, 1);
    b.kicks = true;                            /* the handler of the call ends the session */
    commit(&b);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_STR(bank_noted(), "buy=-20:0, done=-20 ");
    CHECK(bank_hash(&b) == before);
    CHECK_EQ_INT(b.undone, 1);
    b.kicks = false;
    CHECK_EQ_INT(wisp_begin(b.t.ends[0], b.to_server), WISP_E_STALE);
    b.to_server = world_join(&b.t.w, b.t.ends[0], b.t.server);
    wisp_begin(b.t.ends[0], b.to_server);      /* it leaves before the commit */
    buy(&b, 1);
    wisp_leave(b.t.ends[0], b.to_server, "bye");
    world_run(&b.t.w, 0.3);
    CHECK_EQ_INT(wisp_fire(b.t.ends[0], "pay", b.to_server, wisp_int(1)), WISP_E_STALE);
    CHECK_EQ_INT(wisp_commit(b.t.ends[0], bank_done, NULL).id, 0);
    CHECK_EQ_INT(wisp_why(b.t.ends[0]), WISP_E_CLOSED);
    b.to_server = world_join(&b.t.w, b.t.ends[0], b.t.server);
    world_run(&b.t.w, 0.1);
    CHECK_EQ_STR(bank_noted(), "buy=-23:0, ");
    wisp_begin(b.t.ends[0], b.to_server);
    buy(&b, 1);
    commit(&b);
    world_destroy(&b.t.w, b.t.ends[0]);        /* what is pending ends through its handlers */
    CHECK_EQ_STR(bank_noted(), "buy=-20:0, done=-20 ");
    world_close(&b.t.w);
}

static void ruin_take_back(void *user) { ++*(int *)user; }

static void ruin(wisp_event *event) {
    CHECK_EQ_INT(wisp_undo(event, ruin_take_back, event->user), WISP_OK);
    wisp_destroy(event->w);
}

static void ruin_done(wisp_event *event) { *(wisp_result *)event->user = event->result; }

TEST(one_fails_when_a_handler_destroys_the_endpoint) {
    for (int after = 0; after < 2; after++) {          /* another part is to follow */
        wisp_pipe pipe;
        wisp *w[2];
        wisp_addr addr = wisp_loopback_addr(0);
        wisp_result done = WISP_OK, lived = WISP_OK;
        int undone = 0;
        memset(&pipe, 0, sizeof pipe);
        for (int i = 0; i < 2; i++) {
            wisp_desc desc;
            memset(&desc, 0, sizeof desc);
            desc.link = wisp_loopback(&pipe, i);
            desc.seed = (uint64_t)i + 1;
            w[i] = wisp_create(&desc, NULL);
        }
        wisp_join(w[1], &addr, NULL, 0);
        wisp_connect_target(w[0], wisp_by_name("ruin"), ruin, &undone, false);
        for (int i = 1; i < 60; i++) {
            if (i == 30) {
                CHECK_EQ_INT(wisp_begin(w[1], WISP_SERVER), WISP_OK);
                wisp_fire(w[1], "ruin", WISP_SERVER, wisp_int(1));
                if (after) wisp_fire(w[1], "ruin", WISP_SERVER, wisp_int(2));
                CHECK(wisp_commit(w[1], ruin_done, &done).id != 0);
            }
            if (!lived) lived = wisp_update(w[0], i * 0.01);
            CHECK_EQ_INT(wisp_update(w[1], i * 0.01), WISP_OK);
        }
        CHECK(lived == WISP_E_CLOSED && done < 0 && undone == 1);
        wisp_destroy(w[1]);
        wisp_pipe_free(&pipe);
    }
}

/* Each transaction moves money from one account to the next: the sum stays as it is, whatever is
   lost, doubled or comes out of order, and each runs once. */
TEST(each_runs_once_over_networks_that_lose_and_reorder) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        bank b;
        int spent = 0;
        bank_open(&b);
        b.t.w.bad = true;
        b.t.w.net.seed = seed;
        b.t.w.net.loss = 0.15;
        b.t.w.net.duplicate = 0.1;
        b.t.w.net.latency = 0.04;
        b.t.w.net.jitter = 0.05;
        bank_start(&b);
        world_run(&b.t.w, 1);
        bank_noted();
        for (int i = 0; i < 12; i++) {
            wisp_begin(b.t.ends[0], b.to_server);
            pay(&b, i, 1 + i % 3);
            pay(&b, i + 1, 1);
            if (i % 4 == 3) pay(&b, 0, 900);   /* refused */
            else spent += 2 + i % 3;
            commit(&b);
            world_run(&b.t.w, 0.03 * (double)(seed % 5));
        }
        world_run(&b.t.w, 4);
        CHECK_EQ_INT(health(&b, 0) + health(&b, 1) + health(&b, 2) + health(&b, 3), 400 - spent);
        CHECK_EQ_INT(b.undone, 3 * 3);
        CHECK_EQ_INT(world_total(b.t.ends[0]).calls_pending, 0);
        bank_agrees(&b);
        world_close(&b.t.w);
    }
}

/* A name that is first used in a transaction goes with it, also to the end that has joined. */
static void bank_greet(wisp_event *event) {
    bank_now->ran++;
    wisp_reply(event, wisp_string(event->name));
}

TEST(names_that_are_new_are_announced_inside) {
    bank b;
    bank_open(&b);
    bank_start(&b);
    wisp_on_invoke(b.t.ends[1], "greet", bank_greet, NULL);
    wisp_on(b.t.ends[1], "hello", bank_pay, NULL);
    CHECK_EQ_INT(wisp_begin(b.t.server, world_peer(b.t.server, 1)), WISP_OK);
    wisp_invoke(b.t.server, "greet", world_peer(b.t.server, 1), bank_replied, NULL);
    wisp_invoke(b.t.server, "greet", world_peer(b.t.server, 1), bank_replied, NULL);
    CHECK(wisp_commit(b.t.server, bank_done, NULL).id != 0);
    world_run(&b.t.w, 0.2);
    CHECK_EQ_STR(bank_noted(), "greet=0:1 greet=0:1 done=0 ");
    CHECK_EQ_INT(b.ran, 2);
    world_close(&b.t.w);
}

/* What a handler calls inside of one goes when it holds, and is dropped when it does not. */
static void bank_relay(wisp_event *event) {
    wisp_call_desc desc = { bank_replied, NULL, 0, 0, bank_done, NULL };
    bank_now->ran++;
    CHECK(wisp_invoke_values(event->w, "greet", wisp_to_all(), &desc, NULL, 0).id != 0);
    CHECK(wisp_invoke(event->w, "greet", event->peer, bank_replied, NULL).id != 0);
}

TEST(calls_of_handlers_wait_for_its_end) {
    bank b;
    bank_open(&b);
    bank_start(&b);
    wisp_on(b.t.server, "relay", bank_relay, NULL);
    for (int i = 0; i < 2; i++) wisp_on_invoke(b.t.ends[i], "greet", bank_greet, NULL);
    for (int i = 0; i < 2; i++) {
        wisp_begin(b.t.ends[0], b.to_server);
        wisp_fire(b.t.ends[0], "relay", b.to_server);
        pay(&b, 0, i ? 900 : 1);
        commit(&b);
        world_run(&b.t.w, 0.3);
        CHECK_EQ_INT(b.ran, i ? 7 : 5);
        CHECK_EQ_STR(bank_noted(), i ? "greet=-43:0, greet=-43:0, done=-43@0 greet=-43:0, "
                                       "done=-1001@1,900 is too much "
                                     : "paid1 done=0 paid1 greet=0:1 greet=0:1 greet=0:1 "
                                       "done=0@2 ");
        CHECK_EQ_INT(world_total(b.t.server).calls_pending, 0);
    }
    world_close(&b.t.w);
}

/* --- hostile bytes --- */

/* Sends bytes as a transaction. */
static void forge_bundle(bank *b, const uint8_t *bytes, int size) {
    wisp_begin(b->t.ends[0], b->to_server);
    wisp_fire(b->t.ends[0], "pay", b->to_server, wisp_int(0), wisp_int(1));
    if (!b->t.ends[0]->bundle.session) return;
    memcpy(b->t.ends[0]->bundle.bytes, bytes, (size_t)size);
    b->t.ends[0]->bundle.bits = size * 8;
    wisp_commit(b->t.ends[0], bank_done, NULL);
}

TEST(malformed_ones_change_nothing) {
    bank b;
    uint64_t before;
    uint8_t good[64], bytes[64];
    int size;
    bank_open(&b);
    bank_start(&b);
    before = bank_hash(&b);
    wisp_begin(b.t.ends[0], b.to_server);
    pay(&b, 0, 1);
    pay(&b, 1, 2);
    wisp_set(b.t.ends[0], "offer", wisp_int(4));
    size = (int)(b.t.ends[0]->bundle.bits + 7) / 8;
    memcpy(good, b.t.ends[0]->bundle.bytes, sizeof good);
    wisp_abort(b.t.ends[0]);
    for (int i = 0; i < 8 * size + size; i++) {
        if (!world_peer(b.t.ends[0], 0).id) world_join(&b.t.w, b.t.ends[0], b.t.server);
        b.to_server = world_peer(b.t.ends[0], 0);
        if (!b.to_server.id) continue;
        memcpy(bytes, good, sizeof bytes);
        if (i < 8 * size) bytes[i / 8] ^= (uint8_t)(1 << (i & 7));
        forge_bundle(&b, bytes, i < 8 * size ? size : i - 8 * size);
        world_run(&b.t.w, 0.1);
        if (strstr(b.notes, "paid") == NULL && strstr(b.notes, "done=0") == NULL)
            CHECK(bank_hash(&b) == before);    /* else all of it has held */
        before = bank_hash(&b);
        bank_noted();
    }
    memset(bytes, 0xff, sizeof bytes);
    forge_bundle(&b, bytes, 60);
    world_run(&b.t.w, 0.1);
    CHECK(bank_hash(&b) == before);
    CHECK_EQ_INT(b.t.server->journal.count, 0);
    world_close(&b.t.w);
}

/* The call of a transaction comes without its bytes. */
TEST(one_without_bytes_is_refused) {
    bank b;
    wisp_to to;
    wisp_result why;
    wisp_call_desc how = { bank_done, NULL, 0, 0, NULL, NULL };
    wisp__outbound out;
    wisp *w;
    bank_open(&b);
    bank_start(&b);
    w = b.t.ends[0];
    to = wisp_to_peer(b.to_server);
    memset(&out, 0, sizeof out);
    out.remote = w->registry.remotes[WISP__ON_OPERATION];
    out.session = wisp__session_of(w, b.to_server);
    out.passage = wisp__passage_of(WISP_MESSAGE_INVOKE, &to, &how);
    CHECK(wisp__peer_remote_of(w, out.session, WISP__ON_OPERATION) != NULL);
    out.session->peer_remotes[WISP__ON_OPERATION].known = WISP__BOUND;
    CHECK_EQ_INT(wisp__encode_outbound(w, &out), WISP_OK);
    CHECK_EQ_INT(wisp__call_queue(w, wisp__call_add(w, false, &why), &out), WISP_OK);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_INT(wisp_peers(b.t.server, NULL, 0), 2);
    CHECK(strncmp(b.notes, "done=-", 6) == 0);
    world_close(&b.t.w);
}

TEST(thousands_of_parts_are_paid_for) {
    bank b;
    bank_open(&b);
    b.t.w.desc.limits.message_bytes = 1 << 20;
    bank_start(&b);
    wisp_begin(b.t.ends[0], b.to_server);
    for (int i = 0; i < 20000; i++) pay(&b, 0, 0);
    commit(&b);
    world_run(&b.t.w, 3);
    CHECK(b.ran == 20000 || b.ran == 0 || strstr(b.notes, "done=-") != NULL);
    CHECK_EQ_INT(b.t.server->journal.bytes, 0);
    CHECK_EQ_INT(b.t.server->hooks.held.count, 0);
    world_close(&b.t.w);
}

/* --- memory --- */

TEST(steady_ones_allocate_nothing) {
    bank b;
    ledger memory = ledger_none();
    int taken = 0;
    bank_open(&b);
    b.t.w.desc.memory = ledger_memory(&memory);
    bank_start(&b);
    for (int i = 0; i < 40; i++) {
        if (i == 30) taken = memory.taken;
        wisp_begin(b.t.ends[0], b.to_server);
        pay(&b, 0, 1);
        pay(&b, 1, i % 3 == 2 ? 900 : 1);
        wisp_invoke(b.t.ends[0], "odd", b.to_server, NULL, NULL);
        wisp_set(b.t.ends[0], "offer", wisp_int(i));
        commit(&b);
        world_run(&b.t.w, 0.2);
        bank_noted();
        b.undone = 0;
    }
    CHECK_EQ_INT(memory.taken, taken);
    world_close(&b.t.w);
    CHECK_EQ_INT(memory.out, 0);
}

TEST(each_allocation_that_fails_leaves_all_or_none) {
    for (int fail = 1; fail < 60; fail++) {
        bank b;
        ledger memory = ledger_none();
        int64_t offer;
        int sum;
        bank_open(&b);
        b.t.w.desc.memory = ledger_memory(&memory);
        bank_start(&b);
        memory.fail_at = memory.asked + fail;
        wisp_begin(b.t.ends[0], b.to_server);
        wisp_fire(b.t.ends[0], "pay", b.to_server, wisp_int(0), wisp_int(10));
        wisp_set(b.t.ends[0], "offer", wisp_int(8));
        buy(&b, 4);
        wisp_fire(b.t.ends[0], "pay", b.to_server, wisp_int(1), wisp_int(20));
        wisp_commit(b.t.ends[0], bank_done, NULL);
        world_run(&b.t.w, 0.4);
        sum = health(&b, 0) + health(&b, 1);
        offer = wisp_get(b.t.server, "offer")->as.integer;
        CHECK((sum == 200 && offer == 3) || (sum == 170 && offer == 8));
        CHECK_EQ_INT(wisp_get(b.t.server, "stock")->as.integer, sum == 200 ? 10 : 9);
        memory.fail_at = 0;
        world_close(&b.t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
}

/* --- optimistic calls --- */

/* spend(price): the same rules on both ends. The server refuses odd prices. */
static void bank_spend(wisp_event *event) {
    wisp *w = event->w;
    bool server = w == bank_now->t.server;
    int64_t price = wisp_arg_int(event, 0);
    const wisp_value *left = wisp_get(w, "stock");
    orb *account = (orb *)wisp_object_edit(w, bank_now->accounts[0]);
    if (left) wisp_set(w, "stock", wisp_int(left->as.integer - price));
    if (account) account->health = (uint16_t)(account->health - price);
    wisp_undo(event, bank_take_back, (void *)(intptr_t)price);
    bank_now->ran += server;
    bank_now->sent = server ? bank_now->sent : wisp_fire(w, "pay", event->peer, wisp_int(1));
    if (!server) bank_note(event->replay ? "again%d " : "here%d ", (int)price);
    if (server && price % 2) wisp_refuse(event, BANK_POOR, "%d is odd", (int)price);
}

static wisp_call spend(bank *b, int price, double timeout) {
    wisp_value value = wisp_int(price);
    wisp_call_desc desc = { bank_replied, NULL, timeout, 0, NULL, bank_spend };
    return wisp_invoke_values(b->t.ends[0], "spend", wisp_to_peer(b->to_server), &desc, &value, 1);
}

static void bank_spends(bank *b) {
    wisp_on_invoke(b->t.server, "spend", bank_spend, NULL);
    world_run(&b->t.w, 0.3);
    bank_noted();
}

static int stock(const wisp *w) { return (int)wisp_get(w, "stock")->as.integer; }

static int money(bank *b, int end) {
    orb state;
    return wisp_view(b->t.ends[end], b->accounts[0], WISP_NOW, &state) ? state.health : -1;
}

TEST(an_optimistic_call_is_seen_at_once_and_stays_without_a_jump) {
    for (uint64_t seed = 0; seed < 6; seed++) {
        bank b;
        bank_open(&b);
        b.t.w.bad = true;
        b.t.w.net.seed = seed + 1;
        b.t.w.net.latency = 0.05;
        b.t.w.net.jitter = 0.02;
        b.t.w.net.loss = seed % 2 ? 0.1 : 0;
        bank_start(&b);
        bank_spends(&b);
        world_run(&b.t.w, 1);
        CHECK(spend(&b, 4, 0).id != 0);
        CHECK_EQ_INT(b.sent, WISP_E_UNSUPPORTED);
        CHECK_EQ_INT(stock(b.t.ends[0]), 6);
        CHECK_EQ_INT(stock(b.t.ends[1]), 10);
        world_step(&b.t.w);
        world_step(&b.t.w);
        for (int i = 0; i < 200; i++) {
            CHECK_EQ_INT(stock(b.t.ends[0]), 6);
            CHECK_EQ_INT(money(&b, 0), 96);
            world_step(&b.t.w);
        }
        CHECK_EQ_STR(bank_noted(), "here4 spend=0:0 ");
        CHECK_EQ_INT(b.ran, 1);
        CHECK_EQ_INT(b.undone, 0);
        CHECK_EQ_INT(b.t.ends[0]->journal.count, 0);
        CHECK_EQ_INT(b.t.ends[0]->calls.attempts, 0);
        bank_agrees(&b);
        world_close(&b.t.w);
    }
}

TEST(of_two_in_flight_the_first_is_refused) {
    bank b;
    bank_open(&b);
    b.t.w.bad = true;
    b.t.w.net.latency = 0.05;
    bank_start(&b);
    bank_spends(&b);
    world_run(&b.t.w, 1);
    spend(&b, 5, 0);
    spend(&b, 2, 0);
    CHECK_EQ_INT(stock(b.t.ends[0]), 3);
    world_run(&b.t.w, 0.05);
    CHECK_EQ_INT(money(&b, 0), 93);
    for (int i = 0; i < 100; i++) {
        int now = stock(b.t.ends[0]);
        CHECK(now == 3 || now == 8);           /* never 10, the old value, nor 5 */
        CHECK(money(&b, 0) == 93 || money(&b, 0) == 98);
        world_step(&b.t.w);
    }
    CHECK_EQ_STR(bank_noted(), "here5 here2 spend=-1001:0,5 is odd spend=0:0 again2 ");
    CHECK_EQ_INT(b.ran, 2);
    CHECK_EQ_INT(b.undone, 3);                 /* the server's, and here both: one ran again */
    CHECK_EQ_INT(stock(b.t.ends[0]), 8);
    CHECK_EQ_INT(money(&b, 0), 98);
    CHECK_EQ_INT(b.t.ends[0]->journal.bytes, 0);
    bank_agrees(&b);
    world_close(&b.t.w);
}

TEST(an_optimistic_call_that_is_not_answered_is_taken_back) {
    bank b;
    wisp_call call;
    bank_open(&b);
    bank_start(&b);
    bank_spends(&b);
    b.t.w.ends[0] = NULL;                      /* the server stands still */
    spend(&b, 2, 0.3);
    call = spend(&b, 4, 0);
    CHECK_EQ_INT(stock(b.t.ends[0]), 4);
    world_run(&b.t.w, 0.2);
    wisp_cancel(b.t.ends[0], call);
    world_run(&b.t.w, 0.05);
    CHECK_EQ_INT(stock(b.t.ends[0]), 8);
    world_run(&b.t.w, 0.3);
    CHECK_EQ_STR(bank_noted(), "here2 here4 spend=-23:0, spend=-21:0, ");
    CHECK_EQ_INT(stock(b.t.ends[0]), 10);
    CHECK_EQ_INT(money(&b, 0), 100);
    CHECK_EQ_INT(b.undone, 2);
    CHECK_EQ_INT(b.order[0], 4);
    b.t.w.ends[0] = b.t.server;
    world_run(&b.t.w, 2);                      /* the server has done both */
    CHECK_EQ_INT(stock(b.t.ends[0]), 4);
    bank_agrees(&b);
    spend(&b, 2, 0);
    wisp_leave(b.t.ends[0], b.to_server, "bye");
    world_run(&b.t.w, 0.1);
    CHECK_EQ_STR(bank_noted(), "here2 spend=-20:0, ");
    CHECK_EQ_INT(b.t.ends[0]->calls.attempts, 0);
    world_close(&b.t.w);
}

TEST(optimistic_calls_are_parts_of_a_transaction) {
    bank b;
    bank_open(&b);
    bank_start(&b);
    bank_spends(&b);
    for (int i = 0; i < 2; i++) {
        wisp_begin(b.t.ends[0], b.to_server);
        CHECK(spend(&b, 2, 0).id != 0);
        pay(&b, 1, i ? 900 : 1);
        CHECK(spend(&b, 2, 0).id != 0);
        commit(&b);
        CHECK_EQ_INT(stock(b.t.ends[0]), i ? 2 : 6);
        world_run(&b.t.w, 1.5);
        CHECK_EQ_INT(stock(b.t.ends[0]), 6);
        CHECK_EQ_STR(bank_noted(), i ? "here2 here2 spend=-23:0, spend=-23:0, "
                                       "done=-1001@1,900 is too much "
                                     : "here2 here2 paid1 spend=0:0 spend=0:0 done=0 paid1 ");
        bank_agrees(&b);
    }
    wisp_begin(b.t.ends[0], b.to_server);
    spend(&b, 2, 0);
    CHECK_EQ_INT(stock(b.t.ends[0]), 4);
    wisp_abort(b.t.ends[0]);
    world_run(&b.t.w, 0.1);
    CHECK_EQ_INT(stock(b.t.ends[0]), 6);
    CHECK_EQ_STR(bank_noted(), "here2 spend=-23:0, ");
    world_close(&b.t.w);
}

/* A server despawns what an optimistic call has edited, and gives the number to another class. */
TEST(a_number_that_goes_to_another_class_is_not_put_back) {
    static const wisp_type word = WISP_T_STRING(59);
    static const wisp_field fields[] = { WISP_FIELD(bank_words, words, WISP_T_ARRAY(&word, 3)) };
    static const wisp_schema schema = WISP_SCHEMA(bank_words, 1, fields);
    bank b;
    wisp_class_desc desc;
    wisp__object_head head;
    wisp__reader none = wisp__reader_on(NULL, 0);
    wisp__reading r;
    wisp__object *o;
    wisp *w;
    bank_words *now;
    bank_open(&b);
    bank_start(&b);
    w = b.t.ends[0];
    memset(&desc, 0, sizeof desc);
    memset(&head, 0, sizeof head);
    desc.schema = &schema;
    desc.authority = WISP_AUTHORITY_OWNER;
    head.of = wisp__class_of(w, wisp_define(w, "words", &desc));
    bank_spends(&b);
    spend(&b, 3, 0);
    wisp__reading_begin(&r, w, wisp__session_of(w, b.to_server), &none);
    r.tick = w->clock.told + 1000;
    head.index = (int)(b.accounts[0].id & WISP__OBJECT_INDEX);
    head.generation = (uint16_t)(b.accounts[0].id >> 16);
    wisp__on_object_gone(&r, &head, wisp__object_named(w, b.accounts[0].id));
    wisp__objects_tell(w);
    r.tick++;
    head.owner = wisp_me(w).id;
    head.program = wisp__class_program(w, head.of);
    o = wisp__object_described(&r, &head);
    if (!CHECK(o != NULL)) return;
    now = (bank_words *)wisp__object_image(o);
    strcpy(now->words[1], "untouched");
    CHECK_EQ_INT(wisp__object_row(w, o, now, &o->row), WISP_OK);
    o->spawned = o->made = true;
    o->tick = r.tick;
    world_run(&b.t.w, 0.5);
    CHECK_EQ_INT(w->journal.count, 0);
    CHECK(strcmp(now->words[1], "untouched") == 0);
    world_close(&b.t.w);
}

TEST(optimistic_calls_without_memory_leave_nothing) {
    for (int fail = 1; fail < 40; fail++) {
        bank b;
        ledger memory = ledger_none();
        bank_open(&b);
        b.t.w.desc.memory = ledger_memory(&memory);
        bank_start(&b);
        bank_spends(&b);
        memory.fail_at = memory.asked + fail;
        spend(&b, 2, 0);
        world_run(&b.t.w, 0.3);
        memory.fail_at = 0;
        world_run(&b.t.w, 1.5);
        CHECK_EQ_INT(b.t.ends[0]->calls.attempts, 0);
        if (world_peer(b.t.ends[0], 0).id) CHECK_EQ_INT(stock(b.t.ends[0]), stock(b.t.server));
        world_close(&b.t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
}

/* --- many in flight --- */

/* step(n): counts an object and a property up by one, the same on both ends; the server refuses
   those that `refuses` says. */
static struct { int ran[2], again, refuses, replies, refused, undone, objects_only; } many;

static void many_undone(void *user) { many.undone += user != NULL; }

static void many_step(wisp_event *event) {
    wisp *w = event->w;
    bool server = w == bank_now->t.server;
    int64_t n = wisp_arg_int(event, 0);
    orb *account = (orb *)wisp_object_edit(w, bank_now->accounts[n % 3]);
    many.ran[server]++;
    many.again += event->replay;
    if (!many.objects_only) wisp_set(w, "stock", wisp_int(stock(w) + 1));
    if (account) account->health++;
    wisp_undo(event, many_undone, server ? NULL : w);
    if (server && many.refuses && n % many.refuses == 0) wisp_refuse(event, BANK_POOR, "no");
}

static void many_replied(wisp_event *event) {
    many.replies++;
    many.refused += event->result != WISP_OK;
}

static wisp_call many_call(bank *b, int n, double timeout) {
    wisp_value value = wisp_int(n);
    wisp_call_desc desc = { many_replied, NULL, timeout, 0, NULL, many_step };
    return wisp_invoke_values(b->t.ends[0], "step", wisp_to_peer(b->to_server), &desc, &value, 1);
}

static void many_open(bank *b, double latency, int refuses) {
    bank_open(b);
    memset(&many, 0, sizeof many);
    many.refuses = refuses;
    b->t.w.bad = true;
    b->t.w.net.latency = latency;
    bank_start(b);
    wisp_on_invoke(b->t.server, "step", many_step, NULL);
    world_run(&b->t.w, 1);
}

static int many_seen(bank *b) {
    int sum = 0;
    for (int i = 0; i < 3; i++) {
        orb state;
        if (wisp_view(b->t.ends[0], b->accounts[i], WISP_NOW, &state)) sum += state.health;
    }
    return sum;
}

/* Where the server does the same, answers put nothing back and run nothing again, however many
   wait; and what is seen never goes back. */
TEST(answers_that_are_as_predicted_run_nothing_again) {
    bank b;
    int made = 0;
    many_open(&b, 0.1, 0);
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < 10; k++) CHECK(many_call(&b, made++, 0).id != 0);
        world_step(&b.t.w);
        CHECK_EQ_INT(stock(b.t.ends[0]), 10 + made);
        if (i % 2) CHECK(many_seen(&b) >= 300 + made - 20);
    }
    CHECK(b.t.ends[0]->calls.attempts > 100 && b.t.ends[0]->calls.attempts < 500);
    world_run(&b.t.w, 1.5);
    CHECK(many.ran[0] == made && many.ran[1] == made && many.again == 0 && many.undone == 0);
    CHECK(many.replies == made && many.refused == 0);
    CHECK_EQ_INT(b.t.ends[0]->journal.count, 0);
    CHECK_EQ_INT(b.t.ends[0]->journal.bytes, 0);
    CHECK(b.t.ends[0]->journal.ahead == NULL);
    CHECK_EQ_INT(stock(b.t.server), 10 + made);
    bank_agrees(&b);
    world_close(&b.t.w);
}

/* Refusals put back those that came later, which run again once in an update, for all of them. */
TEST(refusals_among_many_run_the_later_ones_again_once_in_an_update) {
    bank b;
    int made = 0, updates;
    many_open(&b, 0.05, 7);
    for (; made < 200; made++) many_call(&b, made, 0);
    CHECK_EQ_INT(stock(b.t.ends[0]), 210);
    for (updates = 0; b.t.ends[0]->calls.attempts && updates < 300; updates++)
        world_step(&b.t.w);
    CHECK(many.refused == 29 && many.replies == 200);
    CHECK(many.again > 0 && many.again <= 3 * 200);
    CHECK_EQ_INT(many.ran[1], 200);
    CHECK_EQ_INT(many.undone - many.again, 29);        /* those that hold were not, at the end */
    CHECK_EQ_INT(b.t.ends[0]->journal.bytes, 0);
    CHECK_EQ_INT(stock(b.t.ends[0]), 10 + 171);
    bank_agrees(&b);
    world_close(&b.t.w);
}

static int many_sparks;

static void many_spark(wisp_event *event) {
    bool server = event->w == bank_now->t.server;
    many_step(event);
    if (!server && !event->replay) many_sparks += wisp_first_time(event->w, 5);
}

static void many_spark_undone(wisp_event *event) {
    CHECK_EQ_INT(wisp_arg_int(event, 0), 5);
    many_sparks -= 10;
}

/* A call that runs again without what it has let happen: that is undone. Each has its own. */
TEST(effects_of_calls_that_do_not_come_again_are_undone) {
    bank b;
    many_open(&b, 0.05, 7);
    many_sparks = 0;
    wisp_on(b.t.ends[0], WISP_UNDONE, many_spark_undone, NULL);
    for (int i = 0; i < 2; i++) {
        wisp_value value = wisp_int(i);
        wisp_call_desc desc = { many_replied, NULL, 0, 0, NULL, many_spark };
        CHECK(wisp_invoke_values(b.t.ends[0], "step", wisp_to_peer(b.to_server), &desc, &value, 1)
                  .id != 0);
    }
    CHECK_EQ_INT(many_sparks, 2);
    world_run(&b.t.w, 1.5);
    CHECK(many.refused == 1 && many.again == 1);
    CHECK_EQ_INT(many_sparks, 2 - 10);
    bank_agrees(&b);
    world_close(&b.t.w);
}

/* They end in any order, cancelled or without an answer in time: first, last, in the middle. After
   each the others are seen, each once. */
TEST(calls_that_wait_may_end_in_any_order) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bank b;
        wisp_call calls[8];
        uint64_t random = seed * 77;
        many_open(&b, 0.02, 0);
        b.t.w.ends[0] = NULL;                      /* the server stands still */
        for (int i = 0; i < 8; i++) calls[i] = many_call(&b, i, i % 3 ? 9 : 0.1 * (9 - i));
        world_run(&b.t.w, 0.04);
        for (int left = 8; left > 0; left--) {
            unsigned which = seed == 1 ? 0 : (unsigned)left - 1;
            random = random * UINT64_C(6364136223846793005) + 1;
            if (seed > 2) which = (unsigned)(random >> 40) % (unsigned)left;
            wisp_cancel(b.t.ends[0], calls[which]);
            memmove(&calls[which], &calls[which + 1], (7 - which) * sizeof calls[0]);
            world_run(&b.t.w, 0.05);
            CHECK_EQ_INT(stock(b.t.ends[0]), 10 + b.t.ends[0]->calls.attempts);
            CHECK_EQ_INT(many_seen(&b), 300 + b.t.ends[0]->calls.attempts);
        }
        CHECK_EQ_INT(b.t.ends[0]->journal.count, 0);
        CHECK(many.undone == many.ran[0] && many.refused == 8);
        b.t.w.ends[0] = b.t.server;
        world_close(&b.t.w);
    }
}

/* A yes of one in the middle comes first, with the state that was predicted or another. */
TEST(a_yes_in_the_middle_is_taken_where_the_server_tells_the_same) {
    for (int right = 0; right < 2; right++) {
        bank b;
        wisp_call calls[3];
        wisp__object *o;
        wisp *w;
        many_open(&b, 0.02, 0);
        w = b.t.ends[0];
        many.objects_only = right;
        b.t.w.ends[0] = NULL;                      /* the server stands still */
        for (int i = 0; i < 3; i++) calls[i] = many_call(&b, i, 30);
        world_run(&b.t.w, 0.05);
        CHECK_EQ_INT(many_seen(&b), 303);
        o = wisp__object_get(w, b.accounts[1]);
        if (right) wisp__row_replace(w, &o->row, o->ahead->now.row);
        ((wisp__attempt *)wisp__attempt_of(w, calls[1].id)->user)->until = w->base.time;
        world_step(&b.t.w);
        CHECK_EQ_INT(w->calls.attempts, 2);
        CHECK_EQ_INT(many_seen(&b), 302 + right);
        CHECK_EQ_INT(many.again, right ? 0 : 2);
        CHECK_EQ_INT(stock(w), right ? 10 : 12);
        wisp_cancel(w, calls[0]);
        world_step(&b.t.w);
        CHECK_EQ_INT(many_seen(&b), 301 + right);
        wisp_cancel(w, calls[2]);
        world_step(&b.t.w);
        CHECK(w->calls.attempts == 0 && w->journal.bytes == 0);
        CHECK_EQ_INT(many_seen(&b), 300 + right);
        b.t.w.ends[0] = b.t.server;
        world_close(&b.t.w);
    }
}

static const test_case tests[] = {
    CASE(answers_that_are_as_predicted_run_nothing_again),
    CASE(refusals_among_many_run_the_later_ones_again_once_in_an_update),
    CASE(calls_that_wait_may_end_in_any_order),
    CASE(effects_of_calls_that_do_not_come_again_are_undone),
    CASE(a_yes_in_the_middle_is_taken_where_the_server_tells_the_same),
    CASE(an_optimistic_call_is_seen_at_once_and_stays_without_a_jump),
    CASE(of_two_in_flight_the_first_is_refused),
    CASE(an_optimistic_call_that_is_not_answered_is_taken_back),
    CASE(optimistic_calls_are_parts_of_a_transaction),
    CASE(a_number_that_goes_to_another_class_is_not_put_back),
    CASE(optimistic_calls_without_memory_leave_nothing),
    CASE(each_runs_once_over_networks_that_lose_and_reorder),
    CASE(names_that_are_new_are_announced_inside),
    CASE(calls_of_handlers_wait_for_its_end),
    CASE(malformed_ones_change_nothing),
    CASE(one_without_bytes_is_refused),
    CASE(thousands_of_parts_are_paid_for),
    CASE(steady_ones_allocate_nothing),
    CASE(each_allocation_that_fails_leaves_all_or_none),
    CASE(inside_of_one_nothing_is_deferred_flushed_or_begun),
    CASE(rate_tokens_are_taken_at_once_or_not_at_all),
    CASE(one_may_be_larger_than_a_packet),
    CASE(every_way_to_refuse_a_part_refuses_all),
    CASE(properties_are_set_whole_and_in_part_as_their_judge_says),
    CASE(one_ends_with_a_code_when_a_peer_leaves),
    CASE(one_fails_when_a_handler_destroys_the_endpoint),
    CASE(all_parts_run_as_one_and_each_call_is_answered),
    CASE(the_first_refusal_takes_all_back_and_is_named),
    CASE(misuse_has_codes_of_its_own)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
