################################################################################
#
# allegro
#
################################################################################

ALLEGRO_VERSION = $(shell sed -n 's/^VERSION=//p' $(BR2_EXTERNAL_ALLEGRO_PATH)/meta)
ALLEGRO_SITE = $(BR2_EXTERNAL_ALLEGRO_PATH)
ALLEGRO_SITE_METHOD = local
ALLEGRO_LICENSE = Apache-2.0
ALLEGRO_LICENSE_FILES = LICENSE
ALLEGRO_SETUP_TYPE = setuptools

# Only what the wheel is built from: the repository also holds what was built in it.
ALLEGRO_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--include='/pyproject.toml' --include='/meta' --include='/README.md' \
	--include='/LICENSE' --exclude='*.so' --exclude='*.egg-info' \
	--include='/python/***' --exclude='*'

# The own wheel, the prepared ones (scripts/build_image.py), and the web page.
define ALLEGRO_INSTALL_TARGET_CMDS
	PYTHONPATH=$(BR2_EXTERNAL_ALLEGRO_PATH):$(BR2_EXTERNAL_ALLEGRO_PATH)/python \
		PYTHONDONTWRITEBYTECODE=1 $(EXTRA_ENV) \
		$(HOST_DIR)/bin/python3 -m board.allegro.image.buildroot payload $(@D)/dist
endef

# The numbers are those of rootfs_overlay/usr/lib/sysusers.d/allegro.conf.
define ALLEGRO_USERS
	allegro-recorder 810 allegro-recorder 810 * - - - Allegro recorder
	allegro-web 811 allegro-web 811 * - - - Allegro web page
	allegro-wifi 815 allegro-wifi 815 * - - - Allegro WiFi
endef

$(eval $(python-package))

# legal-info archives the source as well, without asking for these exclusions.
allegro-legal-info: private RSYNC_VCS_EXCLUSIONS += $(ALLEGRO_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS)
