# Allegro. `make help` lists the targets. Everything that is built lies in build/ and .venv/.
include meta

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Root leaves nothing in the tree that would be in its owner's way, and finds the tools of the administrator.
export PATH := $(PATH):/usr/sbin:/sbin
# Machines, or tests without, that run side by side: two virtual machines are what two processors can take.
JOBS ?= 2
# What is waited for may take so many times longer than on a machine with nothing else to do.
PATIENCE ?= 3
# After so many minutes no further test begins; they are named at the end. Empty: all are run, however long that takes.
MINUTES ?=
# How long the day of `make soak` lasts (tests/vm/test_a_day.py).
DAY_MINUTES ?= 60
# In the order of tests/conftest.py: xdist would begin with the files that hold the most tests.
SHARED := --dist loadscope --no-loadscope-reorder
PARALLEL := --numprocesses $(JOBS) $(SHARED)
# A machine often waits, and so do tests without, for programs and threads: one worker more runs meanwhile, which starts no machine.
BESIDE := --numprocesses $(shell expr $(JOBS) + 1) --machines $(JOBS) $(SHARED)
# What Python compiles is kept, for all programs that tests start, too; in build/, as root leaves nothing beside the sources.
COMPILED := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/build/pycache
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
ROOT := $(SUDO) env PATH="$(PATH)" PATIENCE=$(PATIENCE) MINUTES=$(MINUTES) $(COMPILED) HYPOTHESIS_STORAGE_DIRECTORY=build/hypothesis

.DEFAULT_GOAL := help

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: vm ## Show the main job from start to end in a virtual machine: traffic, key press, pcap, SFTP upload
	$(ROOT) $(BIN)/python -m scripts.demo

run: vm ## Start the device in a virtual machine and stay (PRESENTER=host: pass a real receiver through)
	$(ROOT) $(BIN)/python -m scripts.run $(if $(PRESENTER),--presenter $(PRESENTER))

press: venv ## Press a key of the emulated presenter of `make run` (KEY=next, prev, play or black)
	$(ROOT) $(BIN)/python -m scripts.press $(or $(KEY),next)

vm: venv ## Build the development image (build/vm/allegro.img) from Debian 13 packages
	$(ROOT) $(BIN)/python -m scripts.build_vm

bundle: venv ## Build the development image and its signed update bundle (build/vm/allegro-<version>.raucb)
	$(ROOT) $(BIN)/python -m scripts.build_vm --bundle

catalogue: venv ## Write and sign the index of the update server whose bundles lie in DIR
	@test -n "$(DIR)" || { echo "Which folder? make catalogue DIR=folder"; exit 1; }
	$(BIN)/python -m scripts.catalogue $(DIR)

dist: venv ## Everything of a release into build/dist: images for disks and virtual machines, checksums, SBOM, licences
	$(ROOT) $(BIN)/python -m scripts.dist

image: venv build/.image-packages ## Build the firmware with Buildroot (build/image/allegro.img): docs/building.md
	$(BIN)/python -m scripts.build_image

image-menuconfig: venv build/.image-packages ## Change Buildroot's configuration in its menus
	$(BIN)/python -m scripts.build_image menuconfig

image-prepared: venv build/.image-packages ## Get what the firmware needs from outside of Buildroot: wheels, files of the web page, keyring
	$(BIN)/python -m scripts.build_image prepared

image-check: venv build/.image-packages ## Check the external tree by Buildroot's own tools; no symbol of its configuration is dropped
	$(BIN)/python -m scripts.build_image check

image-legal: venv build/.image-packages ## Licences and sources of all of Buildroot's packages in the firmware
	$(BIN)/python -m scripts.build_image legal

image-sbom: venv build/.image-packages ## List of the firmware's components (CycloneDX) by Buildroot's generator
	$(BIN)/python -m scripts.build_image sbom

image-cves: venv build/.image-packages ## Known vulnerabilities of the firmware's components
	$(BIN)/python -m scripts.build_image cves

web-assets: build/web/.complete ## Get the files of others that the web page needs, and render the manual

build/web/.complete: $(VENV)/.complete scripts/web_assets.py $(wildcard python/allegro/web/assets/*.json docs/manual/*.md docs/images/*)
	$(BIN)/python -m scripts.web_assets
	@touch $@

style: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style
	$(BIN)/mypy

# Types take one processor for a quarter of a minute in a clean clone: beside the tests, and told behind them.
check: style ## Lint, types and unit tests: about a minute
	@$(BIN)/mypy >build/types.txt 2>&1 & types=$$!; \
		env $(COMPILED) $(BIN)/python -m pytest $(BESIDE) tests/unit; tests=$$?; \
		wait $$types; types=$$?; cat build/types.txt; exit $$((tests | types))

# IMAGE=buildroot: the same tests with the image of `make image`
ifeq ($(IMAGE),buildroot)
TESTED := ALLEGRO_IMAGE=$(CURDIR)/build/image/allegro.img
test soak powercut: build/image/allegro.img
else ifneq ($(IMAGE),)
$(error IMAGE=$(IMAGE) is not known: leave it away for the development image, or IMAGE=buildroot)
endif

build/image/allegro.img:
	@echo "There is no image built with Buildroot yet: make image"; exit 1

test: venv ## All tests: also those that need root, and those with the image in a virtual machine
	$(MAKE) --no-print-directory --jobs lint vm web-assets
	$(ROOT) $(TESTED) $(BIN)/python -m tests.run --timetable --no-fold-skipped $(BESIDE) $(TESTS)

pictures: vm web-assets ## Take the pictures of README and manual anew, from the page of the image
	$(ROOT) $(BIN)/python -m pytest -p no:cacheprovider tests/vm/test_story.py
	cp build/test-report/story/pictures/*.webp docs/images/

guide: venv ## Print the installation guide as PDF: build/allegro-installation.pdf
	$(BIN)/python -m scripts.guide

powercut: vm ## Cut the power in an installation N=100 times, in other actions a fifth (SCENARIO="first boot", SEED=1)
	$(ROOT) $(TESTED) $(BIN)/python -m scripts.powercut --count $(or $(N),100) --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(if $(SCENARIO),"$(SCENARIO)")

soak: vm web-assets ## The tests that take too long for every change: a day in an hour (DAY_MINUTES=60), silence, updates, from 0.1.0 and back, a hung system, release files, fuzzing
	$(SUDO) scripts/install-host-packages soak
	env $(COMPILED) $(BIN)/python -m pip install --quiet --require-hashes -r requirements/soak.txt
	$(ROOT) $(TESTED) DAY_MINUTES=$(DAY_MINUTES) $(BIN)/python -m pytest -p no:cacheprovider $(PARALLEL) -m long $(TESTS)

bench: venv ## Compare with tcpdump, dumpcap, netsniff-ng, stenotype, 0.1.0, a bare bridge and mergecap, look at large rings and a quiet day (QUICK=1: in short)
	$(SUDO) scripts/install-host-packages bench
	$(ROOT) $(BIN)/python -m benchmarks $(if $(QUICK),--quick)

format: venv ## Format the Python files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Renew requirements/*.txt from requirements/*.in
	scripts/lock-requirements

clean: ## Remove what was built, but keep downloads
	$(SUDO) rm -rf build/vm build/dist build/image/out build/web build/test-report build/run build/demo build/bench build/test-bundles build/version-0.1.0 build/pycache $(VENV)

distclean: clean ## Remove everything that is not in the repository
	$(SUDO) rm -rf build

venv: $(VENV)/.complete

host-packages: build/.host-packages

build/.host-packages: scripts/install-host-packages
	$(SUDO) scripts/install-host-packages
	@mkdir -p build && touch $@

build/.image-packages: scripts/install-host-packages
	$(SUDO) scripts/install-host-packages image
	@mkdir -p build && touch $@

# The extension module is compiled for the tests here; the image compiles its own.
$(VENV)/.complete: build/.host-packages requirements/dev.txt pyproject.toml $(wildcard python/allegro/capture/_*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed (Debian 12, Ubuntu 24.04). Name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	env $(COMPILED) $(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help demo pictures guide run press vm bundle dist catalogue image image-menuconfig image-prepared image-check image-legal image-sbom image-cves web-assets style lint check test soak powercut bench format lock clean distclean venv host-packages
