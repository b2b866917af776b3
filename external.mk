include $(sort $(wildcard $(BR2_EXTERNAL_ALLEGRO_PATH)/package/*/*.mk))

# Kconfig drops what it does not know or cannot have; here that stops the build, by name.
define ALLEGRO_CHECK_LINUX
	PYTHONPATH=$(BR2_EXTERNAL_ALLEGRO_PATH) python3 -m board.allegro.image.kconfig \
		$(@D)/.config $(LINUX_KCONFIG_FILE) $(LINUX_KCONFIG_FRAGMENT_FILES)
endef
LINUX_POST_CONFIGURE_HOOKS += ALLEGRO_CHECK_LINUX

define ALLEGRO_CHECK_BUSYBOX
	PYTHONPATH=$(BR2_EXTERNAL_ALLEGRO_PATH) python3 -m board.allegro.image.kconfig \
		$(@D)/.config $(BUSYBOX_KCONFIG_FRAGMENT_FILES)
endef
BUSYBOX_POST_CONFIGURE_HOOKS += ALLEGRO_CHECK_BUSYBOX

# The folder of the build stays out of the files: as a search path (RPATH) it would change their size, and with it the image.
# Nothing here is run from where it was built. Libtool: what Debian and Fedora do for the same purpose. Meson takes words of
# X away at the installation, as its own.
define ALLEGRO_NO_BUILD_RPATH
	find $(@D) -name libtool -type f -exec $(SED) 's/^hardcode_libdir_flag_spec=.*/hardcode_libdir_flag_spec=/' \
		-e 's/^runpath_var=.*/runpath_var=NO_RUN_PATH/' {} +
	find $(@D) -name build.ninja -exec $(SED) ':again; s#\(-rpath,[^ ]*\)$(STAGING_DIR)/usr/lib\(64\)\{0,1\}#\1XXXXXXXXXXXXXXXX#; t again' {} +
endef
# What the overlay masked in an output folder that is used again would be written through the link: to /dev/null of the machine
# that builds, whose mode changes if root does it.
define ALLEGRO_UNMASK
	if [ -d $(TARGET_DIR)/usr/lib/systemd/system ]; then \
		find $(TARGET_DIR)/usr/lib/systemd/system -lname /dev/null -delete; \
	fi
endef

$(foreach package,$(filter-out host-%,$(PACKAGES)),\
	$(eval $(call UPPERCASE,$(package))_POST_CONFIGURE_HOOKS += ALLEGRO_NO_BUILD_RPATH)\
	$(eval $(call UPPERCASE,$(package))_PRE_INSTALL_TARGET_HOOKS += ALLEGRO_UNMASK))

# Of Wireshark only sharkd: it dissects packets that are looked at in the page.
WIRESHARK_CONF_OPTS += $(foreach program,\
	tshark tfshark rawshark dumpcap text2pcap mergecap reordercap editcap capinfos captype randpkt dftest \
	androiddump sshdump ciscodump dpauxmon randpktdump wifidump udpdump sdjournal mmdbresolve, \
	-DBUILD_$(program)=OFF)

# GRUB's images for BIOS and UEFI are made by board/allegro/image/boot.py, of these parts.
define ALLEGRO_GRUB_PARTS
	$(foreach tuple,$(GRUB2_TUPLES-y), \
		rm -rf $(BINARIES_DIR)/grub/$(tuple) && \
		mkdir -p $(BINARIES_DIR)/grub/$(tuple) && \
		cd $(@D)/build-$(tuple)/grub-core && \
		cp *.img *.mod *.lst $(BINARIES_DIR)/grub/$(tuple)/$(sep))
endef
GRUB2_POST_INSTALL_IMAGES_HOOKS += ALLEGRO_GRUB_PARTS

# As the development image: what lies in /boot is packed already, and GRUB reads it faster as it is.
ROOTFS_SQUASHFS_ARGS += -no-exports -no-xattrs -action 'uncompressed@(pathname(boot/*))'
