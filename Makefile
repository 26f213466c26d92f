# wisp - what can be made; everything that is built goes to build/
#
#   demo       builds the arena with a C compiler, nothing else, and plays it (ten seconds)
#   examples   builds the small examples
#   test       all tests with all compilers, also 32 bit, big-endian, Windows; installs what it needs
#   asan       only the tests, under the address and undefined sanitizers
#   fuzz       one minute of libFuzzer
#   cover      which lines of wisp.h the tests run, room by room
#   bench      the figures, beside libenet's in the same run
#   check      the structure of the source, and warnings with optimisation
#   clean      removes build/

MAKEFLAGS += -j2
.DEFAULT_GOAL := help
.PHONY: help demo examples test asan fuzz cover bench check clean

TESTS    := $(notdir $(basename $(wildcard tests/test_*.c)))
FUZZERS  := $(notdir $(basename $(wildcard tests/fuzz/fuzz_*.c)))
EXAMPLES := $(notdir $(basename $(wildcard examples/0*.c)))
HEADERS  := wisp.h $(wildcard tests/*.h tests/compile/*.h tests/fuzz/*.h examples/*.h)

# Run under the emulators: where byte order, word size or the C library can matter.
FOREIGN  := $(filter $(TESTS), $(addprefix test_, base pool stats bits value pack seal packet \
            golden remote policy event call links))

# A kind of build: the compiler with its flags, what is linked, and what runs the program.
WARN     := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror
WARN_C   := $(WARN) -Wstrict-prototypes
SANITIZE := -g -fno-omit-frame-pointer -fno-sanitize-recover=all

KIND_asan    := gcc $(WARN_C) -O1 $(SANITIZE) -fsanitize=address,undefined
KIND_gcc     := gcc $(WARN_C) -O2
KIND_clang   := clang $(WARN_C) -O2
KIND_m32     := gcc $(WARN_C) -O1 -m32
KIND_s390x   := s390x-linux-gnu-gcc $(WARN_C) -O1 -static
KIND_mingw   := x86_64-w64-mingw32-gcc $(WARN_C) -O1
KIND_g++     := g++ -x c++ $(WARN) -O2
KIND_clang++ := clang++ -x c++ $(WARN) -O2
KIND_m32++   := g++ -x c++ $(WARN) -O1 -m32
LIBS_mingw   := -lws2_32
RUN_s390x    := qemu-s390x-static
RUN_mingw    := wine

help:
	@sed -n 's/^#   /make /p' Makefile

demo: | build
	$(CC) -std=c99 -O2 -I. examples/arena.c -o build/arena -lm
	build/arena

examples: $(EXAMPLES:%=build/%)

build/%: examples/%.c $(HEADERS) | build
	$(CC) -std=c99 -O2 -I. $< -o $@ -lm

build:
	mkdir -p build

# --- test: every step leaves a log, and tools/summary adds the logs up --------------------------

# The compilers and emulators; the file names the kinds of build that this machine cannot do.
build/missing: tools/install | build
	tools/install $@

LOGS_ASAN := $(TESTS:%=build/tests/asan/%.log)
LOGS_TEST := $(LOGS_ASAN) $(TESTS:%=build/tests/m32/%.log) \
    $(foreach kind, s390x mingw, $(FOREIGN:%=build/tests/$(kind)/%.log)) \
    $(foreach kind, gcc clang m32 s390x mingw, \
        $(addprefix build/compile/$(kind)/, c99.log c11.log embedded.log two_units.log)) \
    $(foreach kind, g++ clang++ m32++, build/compile/$(kind)/cpp11.log) \
    $(addprefix build/compile/mixed/, c_in_cpp.log cpp_in_c.log) \
    $(EXAMPLES:%=build/examples/asan/%.log) build/examples/asan/arena.log \
    $(FUZZERS:%=build/fuzz/asan/%.log)

test: $(LOGS_TEST)
	@tools/summary $^

asan: $(LOGS_ASAN)
	@tools/summary $^

.SECONDEXPANSION:

EXE = $(@:.log=.exe)
OUT = -o $(EXE) -lm $(LIBS_$(*D))
RUN = $(RUN_$(*D)) $(EXE)

build/tests/%.log: tests/$$(*F).c $(HEADERS) | build/missing
	@tools/step $@ "$(KIND_$(*D)) -std=c99 $< $(OUT)" "$(RUN)"

build/examples/%.log: examples/$$(*F).c $(HEADERS) | build/missing
	@tools/step $@ "$(KIND_$(*D)) -std=c99 -I. $< $(OUT)" "$(RUN) $(ARGS_$(*F))"

ARGS_02_chat := --demo

build/fuzz/asan/%.log: tests/fuzz/%.c tests/fuzz/driver.c $(HEADERS) | build/missing
	@tools/step $@ "$(KIND_asan) -std=c99 $< tests/fuzz/driver.c -o $(EXE) -lm" "$(EXE)"

# --- compile: the header in every language and machine, each program talks over a loopback ------

UNITS := tests/compile/two_units_a.c tests/compile/two_units_b.c

build/compile/%/c99.log build/compile/%/c11.log build/compile/%/embedded.log
