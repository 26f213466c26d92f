# wisp - what can be made; everything that is built goes to build/
#
#   demo       builds the arena with a C compiler, nothing else, and plays it (ten seconds)
#   play       a fight against a bot, by rollback, over a bad network (30 seconds; NET=satellite)
#   examples   builds the small examples
#   picture    draws examples/overlay.png and, in windows that nobody sees (SDL2, Xvfb),
#              examples/arena.png, which README and its pages show
#   test       all tests on all compilers, 32 bit, big-endian, ARM, Windows; installs what it needs
#   test-tools the long tests of the tools, one after the other (five minutes at most)
#   asan       only the tests, under the address and undefined sanitizers
#   rollback   the random networks of tests/test_rollback.c for SEEDS=n seeds; 2000
#   fuzz       one minute of libFuzzer; MINUTES=n: so many for each target
#   cover      which lines of wisp.h the tests run, room by room
#   bench      the figures, beside other libraries' in the same run
#   gauntlet   bad networks: wisp with both congestion controllers, and ENet (two minutes)
#   tools      builds wisp_top, wisp_relay, wisp_load, wisp_tape, wisp_key, wisp_train, and
#              trains a dictionary; needs zstd
#   renew      takes wisp.h as the header of before, in tests/data; only in a commit that means to
#              change behaviour
#   check      the structure of the source, the instructions of a message, warnings in C and C++
#   clean      removes build/

MAKEFLAGS += -j2
.DEFAULT_GOAL := help
.PHONY: help demo play examples picture test test-tools asan rollback fuzz cover bench gauntlet \
    tools renew check clean

TESTS    := $(notdir $(basename $(wildcard tests/test_*.c)))
FUZZERS  := $(notdir $(basename $(wildcard tests/fuzz/fuzz_*.c)))
EXAMPLES := $(filter-out arena arena_sdl, $(notdir $(basename $(wildcard examples/*.c))))
HEADERS  := $(wildcard wisp*.h tests/support/*.h tests/data/*.h tests/compile/*.h examples/*.h \
            tools/*.h) examples/rendezvous.c

# The tests of each kind of build: all of them sanitized; what the C library can change; what byte
# order and word size can; where a compiler may take every number for finite, and the machine small
# ones for zero; and only the wire's bytes and one session.
TESTS_asan  := $(TESTS)
TESTS_mingw := $(addprefix test_, base pool stats meter bits text value match pack seal packet \
            golden remote policy event call links codec decimal json profile overlay)
TESTS_s390x := $(addprefix test_, base pool stats meter bits text value pack seal packet golden \
            remote policy event call links type schema descriptor scalar tile record codec \
            decimal builder json msgpack protowire protobuf delta_bits range_coder migrate engine \
            profile structs)
TESTS_m32   := $(TESTS_s390x) $(addprefix test_, queue frame names packet_writer session receive \
            arrival flush host peer channel wrap wrap16 soak compat oom encoding message_codec \
            message_delta record_delta row value_delta baseline compress limits noise input \
            rollback)
TESTS_fast  := $(addprefix test_, base value type pack scalar tile record codec engine decimal \
            json msgpack protobuf policy)
SMOKE := tcc musl musl-static arm
$(foreach kind, $(SMOKE), $(eval TESTS_$(kind) := test_golden))
KINDS := asan m32 fast s390x mingw $(SMOKE)

# Programs of their own: they set switches of wisp.h, or are linked with more. The others of a kind
# are one program, their unit.
ALONE := $(addprefix test_, plain wrap wrap16 play raise plugins compat sealed)

# What needs LZ4, libdeflate, zstd, libsodium and OpenSSL, which are there only for this machine
# itself.
COMPRESS := -llz4 -ldeflate -lzstd
LIBS_test_plugins  := $(COMPRESS)
LIBS_fuzz_plugins  := $(COMPRESS)
LIBS_test_sealed   := -lsodium -lcrypto
LIBS_21_sealed     := -lsodium
LIBS_07_compress   := $(COMPRESS)
LIBS_11_overlay    := -lpng
LIBS_arena_sdl     := -lSDL2
LIBS_server_thread := -pthread
LIBS_test_compat   := tests/compat_before.c

FUZZERS_M32 := $(filter-out fuzz_plugins, $(FUZZERS))

# A kind of build: the compiler with its flags, what is linked, and what runs the program. (The
# 32-bit x87 and s390x compute every float as a double, whatever the source says.)
WARN     := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror
WARN_C   := $(WARN) -Wstrict-prototypes
SANITIZE := -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

CC_asan    := clang $(WARN_C) -O0 $(SANITIZE)
CC_tsan    := clang $(WARN_C) -O0 -g -fsanitize=thread
CC_gcc     := gcc $(WARN_C) -O2
CC_clang   := clang $(WARN_C) -O2
CC_fast    := gcc $(WARN_C) -O2 -ffast-math
CC_m32     := gcc $(WARN_C) -Wno-double-promotion -O0 -m32
CC_s390x   := s390x-linux-gnu-gcc $(WARN_C) -Wno-double-promotion -O1 -static
CC_mingw   := x86_64-w64-mingw32-gcc $(WARN_C) -O0
CC_tcc     := tcc -Wall -Werror
CC_musl    := musl-gcc $(WARN_C) -O0
CC_musl-static := $(CC_musl) -static
CC_arm     := arm-linux-gnueabihf-gcc $(WARN_C) -O1 -static
CC_g++     := g++ -std=c++11 $(WARN) -O2
CC_clang++ := clang++ -std=c++11 $(WARN) -O2
CC_m32++   := g++ -std=c++11 $(WARN) -Wno-double-promotion -O1 -m32
LIBS_mingw := -lws2_32
LIBS_asan  := -pthread
LIBS_m32   := -pthread
RUN_s390x  := qemu-s390x-static
RUN_m32    := tools/run32
RUN_m32++  := tools/run32
RUN_arm    := qemu-arm-static
RUN_mingw  := wine

help:
	@sed -n 's/^#   /make /p' Makefile

build:
	mkdir -p build

demo: | build
	@echo "A small game over UDP: it is compiled now, some seconds, and then plays for ten."
	@$(CC) -std=c99 -I. examples/arena.c -o build/arena -lm
	@build/arena

# Two programs on this machine, with wisp_relay between them.
NET := mobile

play: build/20_rollback build/wisp_relay
	@build/wisp_relay --seconds 32 9100 127.0.0.1:9101 "$(NET)" </dev/null >build/relay.txt & \
	build/20_rollback host 9101 --bot --seconds 30 </dev/null >build/bot.txt & \
	build/20_rollback join 127.0.0.1:9100 --seconds 30 $(ARGS)

examples: $(EXAMPLES:%=build/%) build/arena_sdl

picture: build/11_overlay build/arena_sdl build/picture
	build/11_overlay examples/overlay.png
	tools/window build
	cp build/arena.png examples/

build/picture: tools/picture.c | build
	$(CC) -std=c99 -O1 $< -o $@ -lpng

# With one wisp.h compiled for all; what needs a library that is not there is left out.
build/wisp.o: wisp.h | build
	$(CC) -std=c99 -O1 -DWISP_IMPLEMENTATION -include $< -x c -c /dev/null -o $@

build/%: examples/%.c build/wisp.o $(HEADERS)
	$(CC) -std=c99 -O1 -I. -DWISP__IMPLEMENTED $< build/wisp.o -o $@ $(LIBS_$*) -lm \
	    $(if $(LIBS_$*),|| echo "$@ is left out: it needs $(LIBS_$*)")

# --- test: every step leaves a log, and tools/summary adds the logs up --------------------------

# Programs of tests/compile/left_out.h: one room left out, and all that can be.
LEFT_OUT := no_json no_msgpack no_protobuf no_engine_types no_overlay no_state no_sealed \
    no_tape slim

LOGS_ASAN := build/units/asan.log $(TESTS_asan:%=build/tests/asan/%.log)
# The longest steps begin first, so that the end does not wait for one of them alone.
LOGS_TEST := $(addprefix build/, units/asan.log tests/asan/test_compat.log units/fast.log \
        units/s390x.log tests/asan/test_play.log tools/gcc/wisp_top.log tools/gcc/wisp_relay.log \
        tools/gcc/wisp_key.log window/gcc/arena_sdl.log) \
    $(KINDS:%=build/units/%.log) \
    $(foreach kind, $(KINDS), $(TESTS_$(kind):%=build/tests/$(kind)/%.log)) \
    $(foreach kind, gcc clang m32 s390x mingw, \
        $(addprefix build/compile/$(kind)/, c99.log c11.log embedded.log two_units.log)) \
    $(SMOKE:%=build/compile/%/c99.log) \
    $(foreach kind, g++ clang++ m32++, build/compile/$(kind)/cpp11.log) \
    build/compile/mixed/c_in_cpp.log build/compile/mixed/cpp_in_c.log \
    build/compile/s390x/mixed.log \
    $(LEFT_OUT:%=build/compile/gcc/%.log) \
    $(foreach name, wisp $(EXAMPLES) arena, build/examples/asan/$(name).log) \
    build/examples/tsan/wisp.log build/examples/tsan/server_thread.log \
    build/fuzz/unit/asan.log build/fuzz/unit/m32.log \
    $(FUZZERS:%=build/fuzz/asan/%.log) $(FUZZERS_M32:%=build/fuzz/m32/%.log) \
    build/fuzz/gcc/fuzz_bomb.log build/tools/gcc/wisp_train.log \
    build/readme/gcc/snippets.log

test: $(LOGS_TEST)
	@tools/summary $^

asan: $(LOGS_ASAN)
	@tools/summary $^

# One after the other.
LOGS_TOOLS := build/load/smoke.log build/tape/smoke.log

test-tools: $(LOGS_TOOLS)
	@tools/summary $^

# A tape of two hours, and what wisp_tape makes of that of 22_tape; tshark reads a capture, if it is
# there.
build/tape/smoke.log: build/wisp_tape build/22_tape tests/test_tape.c tools/smoke_tape $(HEADERS)
	@mkdir -p $(@D)
	@tools/step $@ "$(CC) -std=c99 -O2 tests/test_tape.c -o $(@D)/test_tape -lm && \
	    cp build/wisp_tape build/22_tape $(@D)" "tools/smoke_tape $(@D)"

build/load/smoke.log: build/wisp_load build/02_chat build/arena tools/smoke_load \
        $(wildcard tools/load/*.txt)
	@mkdir -p $(@D)
	@tools/step $@ "cp build/wisp_load build/02_chat build/arena $(@D)" "tools/smoke_load $(@D)"

# Installs the compilers and emulators, and notes which kinds of build there cannot be here.
build/missing: tools/install | build
	tools/install $@

.SECONDEXPANSION:

KIND   = $(notdir $(@D))
EXE    = $(@:.log=.exe)
OUTPUT = -o $(EXE) $(LIBS_$(*F)) -lm $(LIBS_$(KIND))
RUN    = $(RUN_$(KIND)) $(EXE)

# One program of all tests of a kind; each file is run for itself, so a crash costs no others.
UNIT = tools/unit $(filter-out $(ALONE), $(1)) >$(@:.log=.c) && $(2) -Wno-shadow -I. $(@:.log=.c)

# The sanitized tests run five times as fast with this much of -O1, which takes three times as long
# to compile; more of it costs more than it gains. Programs of one test file are not worth it.
SOME_asan := -O1 -g1 -fno-inline -fno-vectorize -fno-slp-vectorize -fno-unroll-loops

build/units/%.log: $(TESTS:%=tests/%.c) $(HEADERS) tools/unit | build/missing
	@tools/step $@ "rm -f $(EXE); $(call UNIT,$(TESTS_$*),$(CC_$*) $(SOME_$*) -std=c99) -o \
	    $(EXE) -lm $(LIBS_$*)"

build/tests/%.log: build/units/$$(*D).log
	@tools/step $@ "" "$(RUN_$(KIND)) build/units/$(KIND).exe $(*F)"

LOGS_ALONE := $(sort $(filter $(ALONE:%=\%/%.log), $(LOGS_TEST)))

$(LOGS_ALONE): build/tests/%.log: tests/$$(*F).c $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) -std=c99 $< $(OUTPUT)" "$(RUN)"

# wisp.h is compiled once for all examples of a kind, which then see only its public half.
LINKED = -DWISP__IMPLEMENTED build/examples/$(KIND)/wisp.o

build/examples/%/wisp.log: wisp.h | build/missing
	@tools/step $@ "$(CC_$*) -O0 -std=c99 -DWISP_IMPLEMENTATION -include $< -x c -c /dev/null \
	    -o $(@:.log=.o)"

.PRECIOUS: build/examples/%/wisp.log

build/examples/%.log: examples/$$(*F).c build/examples/$$(*D)/wisp.log $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) -std=c99 -I. $(LINKED) $< $(OUTPUT)" "$(RUN) $(ARGS_$(*F))"

ARGS_02_chat    := --demo
ARGS_lan        := --demo
ARGS_11_overlay := build/examples/overlay.png

# Fuzz targets for some seconds each: sanitized in 64 and in 32 bit; the bomb search once optimised,
# where seconds of CPU count.
FUZZ_asan     := $(CC_asan)
FUZZ_m32      := $(CC_asan) -m32 -Wno-double-promotion
FUZZ_gcc      := $(CC_gcc) -O1
FUZZ_ARGS_gcc := -cpu

# One program of all targets of a kind, but for those that stand alone.
FUZZ_ALONE := fuzz_plugins
FUZZ_UNIT  := $(filter-out $(FUZZ_ALONE), $(FUZZERS))

build/fuzz/unit/%.log: $(wildcard tests/fuzz/*.c) $(HEADERS) tools/fuzz_unit | build/missing
	@tools/step $@ "rm -f $(EXE); tools/fuzz_unit $(FUZZ_UNIT) >$(@:.log=.c) && \
	    $(FUZZ_$*) -Wno-shadow -std=c99 -I. $(@:.log=.c) tests/fuzz/driver.c -o $(EXE) -lm"

build/fuzz/%.log: build/fuzz/unit/$$(*D).log
	@tools/step $@ "" "$(RUN_$(KIND)) build/fuzz/unit/$(KIND).exe $(*F)"

$(FUZZ_ALONE:%=build/fuzz/asan/%.log) build/fuzz/gcc/fuzz_bomb.log: build/fuzz/%.log: \
        tests/fuzz/$$(*F).c tests/fuzz/driver.c $(HEADERS) | build/missing
	@tools/step $@ "$(FUZZ_$(KIND)) -std=c99 $< tests/fuzz/driver.c $(OUTPUT)" \
	    "$(RUN) $(FUZZ_ARGS_$(KIND))"

# The header in each language and on each machine; every program talks to itself over a loopback.
build/compile/%.log: tests/compile/$$(*F).c $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) $(QUICK_$(*F)) $(QUICK_$(KIND)) -std=$(or $(STD_$(*F)),c99) \
	    $< $(OUTPUT)" "$(RUN)"

STD_c11 := c11

# An end with objects, in a unit of its own, for those without.
LIBS_no_state := tests/compile/with_state.c
LIBS_slim     := tests/compile/with_state.c
build/compile/gcc/no_state.log build/compile/gcc/slim.log: tests/compile/with_state.c

# Optimised once is enough; for ARM and s390x their unit is.
QUICK_c11      := -O0
QUICK_arm      := -O0
QUICK_s390x    := -O0
QUICK_g++      := -O1
QUICK_embedded := -O0
$(foreach name, $(LEFT_OUT), $(eval QUICK_$(name) := -O0))
QUICK_clang++  := -O0
QUICK_m32++    := -O0

build/compile/%/cpp11.log: tests/compile/cpp11.cpp $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) $(QUICK_$(KIND)) $< $(OUTPUT)" "$(RUN)"

UNIT_A := tests/compile/two_units_a.c
UNIT_B := tests/compile/two_units_b.c

build/compile/%/two_units.log: $(UNIT_A) $(UNIT_B) $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) -O0 -std=c99 $(UNIT_A) $(UNIT_B) $(OUTPUT)" "$(RUN)"

build/compile/mixed/c_in_cpp.log: $(UNIT_A) $(UNIT_B) $(HEADERS) | build/missing
	@tools/step $@ "$(CC_gcc) -O0 -std=c99 -c $(UNIT_A) -o $(EXE).o && \
	    $(CC_g++) -O0 -x c++ $(UNIT_B) -x none $(EXE).o $(OUTPUT)" "$(RUN)"

# A debug build by C++ notices calls of two threads by destructors, which need C++'s runtime.
build/compile/mixed/cpp_in_c.log: $(UNIT_A) $(UNIT_B) $(HEADERS) | build/missing
	@tools/step $@ "$(CC_g++) -O0 -DNDEBUG -x c++ -c $(UNIT_A) -o $(EXE).o && \
	    $(CC_gcc) -O0 -std=c99 $(UNIT_B) $(EXE).o $(OUTPUT)" "$(RUN)"

# A big-endian and a little-endian end in one session with objects, each as the server once.
ENDS := build/compile/gcc/c99 build/compile/s390x/c99
build/compile/s390x/mixed.log: $(ENDS:%=%.log) | build/missing
	@tools/step $@ "" "cd build/compile && rm -f fifo && mkfifo fifo && \
	    gcc/c99.exe server <fifo | $(RUN_s390x) s390x/c99.exe client >fifo && \
	    $(RUN_s390x) s390x/c99.exe server <fifo | gcc/c99.exe client >fifo"

# The frozen header and the hashes of its datagrams, which test_compat compares with today's.
renew: | build
	cp wisp.h tests/data/wisp_before.h
	$(CC) -std=c99 -w tests/test_compat.c $(LIBS_test_compat) -o build/test_compat -lm
	build/test_compat table >build/datagrams.h && mv build/datagrams.h tests/data/

# --- check: one log for the structure, one for each file and language ---------------------------

SOURCES   := $(wildcard tests/*.c tests/compile/*.c tests/fuzz/*.c examples/*.c tools/*.c)
LOGS_WARN := $(SOURCES:%.c=build/warn/clang/%.log) build/warn/g++/tests.log \
    build/warn/g++/strict.log build/warn/clang++/strict.log build/warn/g++/macros.log

check: build/structure.log build/instructions.log $(LOGS_WARN)
	@tools/summary $^

build/structure.log: tools/check Makefile $(SOURCES) $(HEADERS) | build/missing
	@tools/step $@ tools/check

# What messages cost, against tools/instructions.txt; `tools/instructions renew` writes that anew.
build/instructions.log: tools/instructions tools/instructions.txt build/bench_path
	@tools/step $@ tools/instructions

build/warn/clang/%.log: %.c $(HEADERS) | build/missing
	@tools/step $@ "$(CC_clang) -std=$(or $(STD_$(*F)),c99) -I. $(PLAYERS_$(*F)) -fsyntax-only $<"

# A program's file with all warnings, in every C++; -Wuseless-cast is gcc's alone.
STRICT := -Wall -Wextra -Wpedantic -Wold-style-cast -Wconversion -Wshadow -Werror -fsyntax-only

build/warn/%/strict.log: tests/compile/strict.cpp wisp.h | build/missing
	@tools/step $@ "for year in 11 14 17 20 2b; do \
	    $* -std=c++\$$year $(STRICT) $(STRICT_$*) $< || exit 1; done"

STRICT_g++ := -Wuseless-cast

# The implementation after other headers' macros, and in the newest C++.
build/warn/%/macros.log: tests/compile/macros.cpp wisp.h | build/missing
	@tools/step $@ "for others in QT LWIP MACOS WISP_NO_STATE; do \
	    $* -std=c++2b -D\$$others -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only $< || \
	    exit 1; \
	    done"

# All tests as C++, which count as one each.
build/warn/g++/tests.log: $(TESTS:%=tests/%.c) $(HEADERS) tools/unit | build/missing
	@tools/step $@ "$(call UNIT,$(TESTS),$(CC_g++) -x c++) $(ALONE:%=tests/%.c) -fsyntax-only && \
	    echo $(words $(TESTS)) passed, 0 failed"

SEEDS := 2000

rollback: tests/test_rollback.c $(HEADERS) | build
	$(CC) -std=c99 -O1 -w $< -o build/test_rollback -lm
	ROLLBACK_SEEDS=$(SEEDS) build/test_rollback any_network

# --- fuzz, cover, bench -------------------------------------------------------------------------

# Two at a time: so long for each, or one minute for all.
FUZZ_SECONDS = $(if $(MINUTES),$(MINUTES) \* 60,120 / $(words $(FUZZERS)))

fuzz: $(FUZZERS:%=build/fuzz/%)
	@tools/fuzz $$(expr $(FUZZ_SECONDS)) $^

build/fuzz/%: tests/fuzz/%.c $(HEADERS) | build/missing
	@mkdir -p $(@D)
	clang -std=c99 -O1 $(SANITIZE) -fsanitize=fuzzer $< -o $@ $(LIBS_$*) -lm

cover: | build
	tools/cover $(TESTS)

# One program after another: they measure.
BENCHES := $(notdir $(basename $(wildcard tools/bench_*.c)))

bench: $(BENCHES:%=build/%)
	@for program in $^; do $$program || exit 1; done

build/bench_%: tools/bench_%.c $(HEADERS) | build/missing
	$(CC) -std=c99 -O2 -DNDEBUG -I. $(PLAYERS_bench_$*) $< -o $@ $(LIBS_bench_$*) -lm

# players.proto becomes C, once by protobuf-c and once by nanopb.
PLAYERS := build/players/players.pb-c.c build/players/players.pb.c
PLAYERS_bench_records := -isystem build/players
LIBS_bench_traffic    := -lenet
LIBS_bench_records    := $(PLAYERS) -lprotobuf-c -lprotobuf-nanopb -lmsgpackc
LIBS_bench_remotes    := -llz4
LIBS_bench_cubes      := -lzstd
LIBS_bench_sealed     := -lsodium

build/bench_records build/warn/clang/tools/bench_records.log: | $(PLAYERS)

build/players/players.pb-c.c: tools/players.proto | build/missing
	@mkdir -p $(@D)
	protoc-c -Itools --c_out=$(@D) $<

build/players/players.pb.c: tools/players.proto tools/players.options | build/missing
	@mkdir -p $(@D)
	protoc -Itools --nanopb_opt=-ftools/players.options --nanopb_out=$(@D) $<

# The table, and the same as JSON.
gauntlet: build/gauntlet
	build/gauntlet ages build/ages.svg
	build/gauntlet build/gauntlet.json

build/gauntlet: tools/gauntlet.c $(HEADERS) | build/missing
	$(CC) -std=c99 -O2 -I. $< -o $@ -lenet -lm

# --- tools ---------------------------------------------------------------------------------------

# They need a C compiler, and wisp_train zstd, which is the one thing that this installs.
tools: build/wisp_top build/wisp_relay build/wisp_load build/wisp_tape build/wisp_key \
        build/wisp_train
	@tools/smoke build/wisp_train

build/wisp_train: tools/wisp_train.c $(HEADERS) | build/zstd
	$(CC) -std=c99 -O1 -I. $< -o $@ -lzstd -lm

build/zstd: tools/install | build
	tools/install zstd

# Trains a dictionary from the lines of wisp.h, each a payload.
build/tools/%/wisp_train.log: tools/wisp_train.c tools/smoke $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) -std=c99 -I. $< -o $(EXE) -lzstd -lm" "tools/smoke $(EXE)"

build/wisp_load build/wisp_tape: build/%: tools/%.c $(HEADERS) | build
	$(CC) -std=c99 -O2 -I. $< -o $@ -lm

build/wisp_top build/wisp_relay: build/%: tools/%.c $(HEADERS) | build
	$(CC) -std=c99 -O1 -I. $< -o $@ -lm

KEY_LIBS := -lsodium

build/wisp_key: tools/wisp_key.c $(HEADERS) | build
	$(CC) -std=c99 -O1 -I. $< -o $@ $(KEY_LIBS) || echo "$@ is left out: it needs $(KEY_LIBS)"

build/tools/%/wisp_key.log: tools/wisp_key.c tools/smoke_key $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) -std=c99 -I. $< -o $(EXE) $(KEY_LIBS)" "tools/smoke_key $(EXE)"

# Looks into the arena's server, and into a chat that offers nothing to see.
build/tools/%/wisp_top.log: tools/wisp_top.c tools/smoke_top examples/arena.c examples/02_chat.c \
        build/examples/$$*/wisp.log $(HEADERS) | build/missing
	@tools/step $@ "for program in tools/wisp_top examples/arena examples/02_chat; do \
	    $(CC_$(KIND)) -O0 -std=c99 -I. -DARENA_SEALED $(LINKED) \$$program.c \
	    -o $(@D)/\$${program#*/} -lm -lsodium || exit 1; done" "tools/smoke_top $(@D)"

# Three windows of the arena, photographed; skipped without SDL2 or Xvfb.
build/window/%/arena_sdl.log: examples/arena_sdl.c tools/picture.c tools/window \
        build/examples/$$*/wisp.log $(HEADERS) | build/missing
	@tools/step $@ "$(CC_$(KIND)) -O0 -std=c99 -I. $(LINKED) $< -o $(@D)/arena_sdl -lSDL2 -lm && \
	    $(CC_$(KIND)) -O1 -std=c99 tools/picture.c -o $(@D)/picture -lpng" "tools/window $(@D)"

# Stands between a chat's server and its client.
build/tools/%/wisp_relay.log: tools/wisp_relay.c tools/smoke_relay examples/02_chat.c \
        build/examples/$$*/wisp.log $(HEADERS) | build/missing
	@mkdir -p $(@D)/relay
	@tools/step $@ "for program in tools/wisp_relay examples/02_chat; do \
	    $(CC_$(KIND)) -O0 -std=c99 -I. $(LINKED) \$$program.c -o $(@D)/relay/\$${program#*/} -lm \
	    || exit 1; done" "tools/smoke_relay $(@D)/relay"

# What README and its pages show, compiled and run.
PAGES := README.md $(wildcard examples/*.md)

build/readme/%/snippets.log: $(PAGES) tools/snippets build/examples/$$*/wisp.log $(HEADERS) | \
        build/missing
	@tools/step $@ "" "tools/snippets $(@D)/snippets build/examples/$*/wisp.o"

clean:
	rm -rf build
