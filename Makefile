# The two commands of a fresh machine: `make demo` and `make check`. CMake builds; this file only
# calls it. Everything lands in build/ and out/.

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 5
# WERROR=ON takes a warning for an error, for this tree until OFF: for us and continuous integration,
# whose compilers are known. Another's newer compiler warns of more.
WERROR ?=
# UNITY=ON compiles rooms as a whole in the sanitized tree too: sooner done from nothing, as
# continuous integration begins; slower after a change.
UNITY ?=

.PHONY: all demo check test bench full-size audit-doc sanitize sanitize-python threads fuzz style lint format \
        check-distributions install uninstall package wheel clean

# Configures each time, which takes a second: what a failed attempt left is not taken for a
# configured tree.
configure = cmake --preset $(1) $(if $(WERROR),-DPI0_WERROR=$(WERROR)) $(if $(UNITY),-DPI0_UNITY=$(UNITY))

# Without tests, unless this tree has been configured with them: a user needs no test framework.
# cmake_install.cmake is there once a configuration has succeeded.
all:
	$(call configure,release) $(if $(wildcard build/release/cmake_install.cmake),,-DPI0_TESTS=OFF)
	cmake --build build/release -j $(JOBS) --target pi0_command

demo:
	tools/install_dependencies.sh
	$(MAKE) all
	examples/demo.sh build/release/pi0 out

# All tests on an optimised build, then on a sanitized one, then the fuzzers for a moment each.
check:
	tools/install_dependencies.sh check
	$(MAKE) test sanitize fuzz

test:
	$(call configure,release) -DPI0_TESTS=ON $$(tools/python_environment.sh build/python_environment)
	cmake --build build/release -j $(JOBS)
	ctest --test-dir build/release -j $(JOBS) --output-on-failure

# The TTNN device at the published widths with all rows of a call; `test` has 33. Minutes.
full-size:
	$(call configure,release) -DPI0_TESTS=ON
	cmake --build build/release -j $(JOBS) --target verify_test
	PI0_ALL_ROWS=1 build/release/verify_test --gtest_filter='*FullWidth*'

# The CPU's times at full size, its matrices beside libxsmm's and oneDNN's. Minutes.
bench:
	tools/install_dependencies.sh bench
	cmake -S . -B build/bench -DCMAKE_BUILD_TYPE=Release -DPI0_TESTS=OFF -DPI0_BENCH_LIBRARIES=ON
	cmake --build build/bench -j $(JOBS) --target pi0_command
	build/bench/pi0 bench --random pi0 --device cpu --dtype bf16
	build/bench/pi0 bench --random pi0 --device cpu --dtype int8

# docs/host-usage-audit.md, from two real calls.
audit-doc: all
	tools/make_audit_doc.sh build/release/pi0

sanitize:
	$(call configure,debug)
	cmake --build build/debug -j $(JOBS)
	ctest --test-dir build/debug -j $(JOBS) --output-on-failure -LE slow

# Python's tests on the sanitized library. The sanitizer's runtime has to be there before Python.
sanitize-python:
	$(call configure,debug) $$(tools/python_environment.sh build/python_environment)
	cmake --build build/debug -j $(JOBS) --target pi0_python
	LD_PRELOAD=$$(clang -print-file-name=libclang_rt.asan-x86_64.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	  PYTHONPATH=build/debug/python/package build/python_environment/bin/python -m pytest -q \
	  python/tests/test_policy.py python/tests/test_process.py

# What is concurrent, under the thread sanitizer.
threads:
	$(call configure,tsan)
	cmake --build build/tsan -j $(JOBS) --target host_test runtime_test policy_test device_cpu_test serve_test
	ctest --test-dir build/tsan -j $(JOBS) --output-on-failure -L threads

# FUZZ_SECONDS each; `make fuzz FUZZ_SECONDS=600` for a longer look.
fuzz:
	$(call configure,debug)
	cmake --build build/debug -j $(JOBS)
	fuzz/run.sh build/debug $(FUZZ_SECONDS)

# What README says, in bare chroots of other distributions: needs root, debootstrap and half an hour.
# DISTRIBUTIONS="sid" and STAGES="demo" do a part of it.
DISTRIBUTIONS ?= trixie sid
check-distributions:
	$(if $(STAGES),STAGES="$(STAGES)") tools/check_distributions.sh $(DISTRIBUTIONS)

# Formatting and the arrows between rooms: seconds.
style:
	tools/install_dependencies.sh lint
	git ls-files '*.h' '*.cc' | xargs clang-format --dry-run -Werror
	python3 tools/check_rooms.py

# The same, and clang-tidy over everything: minutes. Nothing is built, so no header is precompiled.
lint: style
	$(call configure,debug) -B build/lint -DPI0_UNITY=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON
	tools/lint.sh build/lint

format:
	git ls-files '*.h' '*.cc' | xargs clang-format -i

# PREFIX=… or DESTDIR=… say where.
install: all
	cmake --build build/release -j $(JOBS)
	cmake --install build/release $(if $(PREFIX),--prefix $(PREFIX))

# With the DESTDIR of the install, where it had one.
uninstall:
	cmake -DMANIFEST=build/release/install_manifest.txt -P cmake/uninstall.cmake

# Debian packages: docs/install.md.
package: all
	cmake --build build/release -j $(JOBS)
	cpack --config build/release/CPackConfig.cmake -B out/packages

# Python's wheels and sdist, in out/wheels: docs/python.md.
wheel:
	tools/install_dependencies.sh wheel
	tools/build_wheels.sh out/wheels

clean:
	rm -rf build out
