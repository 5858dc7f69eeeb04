# The two commands of the README, set-up included. POSIX sh.

MODEL = assets/models/lenet5_mnist.json
PUMICE = target/release/pumice
# Without a desktop, the Vulkan loader of Mesa complains about XDG_RUNTIME_DIR on every start; this keeps it from looking for one.
export NODEVICE_SELECT = 1

.PHONY: demo test test-all gui test-studio setup

# Trains LeNet-5 on the bundled digits into a new run folder and evaluates it.
demo: setup
	cargo build --release --locked
	@run="runs/demo-$$(date +%Y%m%d-%H%M%S)" && \
	$(PUMICE) train $(MODEL) --out "$$run" && \
	$(PUMICE) eval "$$run"

# `make test CASES=conv2d`: only the rows of the case table that have conv2d in their names.
export CASES

test: setup
	sh .ci/test.sh

# Everything, also what takes longer than `make test` may.
test-all: setup
	PUMICE_TEST_ALL=1 sh .ci/test.sh

# Builds the desktop trainer and opens it. `make gui SPEC=my.json` opens a spec or a run folder.
gui: setup
	@sh .ci/window.sh
	cargo build --release --locked --manifest-path studio/Cargo.toml --target-dir target-studio
	target-studio/release/pumice-studio $(SPEC)

# The desktop trainer: formatting, lints, tests, and a scripted run of its window on a display of its own.
test-studio: setup
	@sh .ci/window.sh test
	sh .ci/test-studio.sh

setup:
	@sh .ci/setup.sh
