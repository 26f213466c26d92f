/* test_peer.c - peers by address, connection number and handle; what is kept for each */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

TEST(peers_are_found_by_address_one_after_the_other) {
    world w;
    wisp *server, *client;
    wisp_addr here, nowhere;
    wisp__peer *first, *second;
    wisp_result why = WISP_OK;
    world_open(&w);
    server = world_add(&w);
    client = world_add(&w);
    world_join(&w, client, server);
    here = wisp_loopback_addr(1);
    nowhere = wisp_loopback_addr(7);
    first = wisp__peers_find(server, &here, NULL);
    if (!CHECK(first != NULL)) return;
    CHECK(wisp__peers_find(server, &here, first) == NULL);
    CHECK(wisp__peers_find(server, &nowhere, NULL) == NULL);
    second = wisp__peers_add(server, &here, &why);
    if (!CHECK(second != NULL)) return;
    CHECK(wisp__peers_find(server, &here, NULL) == second);
    CHECK(wisp__peers_find(server, &here, second) == first);
    wisp__peers_unlink(server, second);
    wisp__pool_remove(&server->peers.pool, second);
    CHECK(wisp__peers_find(server, &here, NULL) == first);
    world_close(&w);
}

TEST(a_connection_number_finds_its_peer_and_no_other_generation) {
    world w;
    wisp *server, *client;
    const wisp__peer *peer;
    uint16_t connection;
    world_open(&w);
    server = world_add(&w);
    client = world_add(&w);
    world_join(&w, client, server);
    peer = wisp__peers_find(server, &server->peers.first->addr, NULL);
    connection = wisp__connection_of(peer);
    CHECK(wisp__peers_connection(server, connection) == peer);
    for (int bit = 0; bit < 16; bit++)
        CHECK(wisp__peers_connection(server, (uint16_t)(connection ^ 1u << bit)) == NULL);
    world_close(&w);
}

TEST(peers_lists_up_to_the_capacity_and_counts_all) {
    enum { CLIENTS = 5 };
    world w;
    wisp *server;
    wisp_peer found[CLIENTS + 1];
    world_open(&w);
    server = world_add(&w);
    for (int i = 0; i < CLIENTS; i++) world_join(&w, world_add(&w), server);
    CHECK_EQ_INT(wisp_peers(server, NULL, 0), CLIENTS);
    for (int capacity = 0; capacity <= CLIENTS + 1; capacity++) {
        memset(found, 0, sizeof found);
        CHECK_EQ_INT(wisp_peers(server, found, capacity), CLIENTS);
        for (int i = 0; i <= CLIENTS; i++)
            CHECK_EQ_INT(found[i].id != 0, i < capacity && i < CLIENTS);
    }
    CHECK_EQ_INT(wisp_peers(NULL, found, CLIENTS), 0);
    world_close(&w);
}

TEST(address_and_pointer_are_those_of_the_peer_and_none_of_a_stale_one) {
    static int mine;
    world_two t;
    wisp_addr client_side = wisp_loopback_addr(1);
    wisp_peer none = { 0 };
    world_two_open(&t);
    CHECK_EQ_MEM(wisp_peer_addr(t.server, t.to_client), &client_side, sizeof client_side);
    CHECK(wisp_peer_user(t.server, t.to_client) == NULL);
    CHECK_EQ_INT(wisp_set_peer_user(t.server, t.to_client, &mine), WISP_OK);
    CHECK(wisp_peer_user(t.server, t.to_client) == &mine);
    CHECK(wisp_peer_user(t.client, WISP_SERVER) == NULL);
    CHECK_EQ_INT(wisp_set_peer_user(t.client, WISP_SERVER, &mine), WISP_OK);
    CHECK(wisp_peer_user(t.client, t.to_server) == &mine);
    CHECK_EQ_INT(wisp_set_peer_user(t.server, none, &mine), WISP_E_STALE);
    CHECK_EQ_INT(wisp_set_peer_user(NULL, t.to_client, &mine), WISP_E_ARGUMENT);
    wisp_leave(t.server, t.to_client, "");
    CHECK(wisp_peer_addr(t.server, t.to_client) == NULL);
    CHECK(wisp_peer_user(t.server, t.to_client) == NULL);
    CHECK_EQ_INT(wisp_set_peer_user(t.server, t.to_client, &mine), WISP_E_STALE);
    world_close(&t.w);
}

static int lose_all(world *w, int n, wisp_packet *packet) {
    (void)w;
    (void)n;
    (void)packet;
    return 0;
}

static void on_left_look(wisp_event *event) {
    void **seen = (void **)event->user;
    wisp_peer_stats stats;
    wisp_stats_peer(event->w, event->peer, &stats);
    if (wisp_peer_addr(event->w, event->peer) && stats.packets_received)
        *seen = wisp_peer_user(event->w, event->peer);
}

TEST(a_left_peer_still_has_its_user_address_and_counters_while_that_is_told) {
    for (int how = 0; how < 3; how++) {
        static int mine;
        void *seen = NULL;
        world_two t;
        world_two_open(&t);
        CHECK_EQ_INT(wisp_set_peer_user(t.server, t.to_client, &mine), WISP_OK);
        wisp_connect(t.server, WISP_LEFT, on_left_look, &seen);
        if (how == 0) wisp_leave(t.client, t.to_server, "");
        else if (how == 1) wisp_leave(t.server, t.to_client, "");
        else t.w.tap = lose_all;
        world_run(&t.w, 12);
        CHECK(seen == &mine);
        CHECK(wisp_peer_user(t.server, t.to_client) == NULL);
        world_close(&t.w);
    }
}

static const test_case tests[] = {
    CASE(peers_are_found_by_address_one_after_the_other),
    CASE(a_connection_number_finds_its_peer_and_no_other_generation),
    CASE(peers_lists_up_to_the_capacity_and_counts_all),
    CASE(address_and_pointer_are_those_of_the_peer_and_none_of_a_stale_one),
    CASE(a_left_peer_still_has_its_user_address_and_counters_while_that_is_told),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
