################################################################################
#
# python-pcap
#
################################################################################

# Buildroot keeps the name python-pypcap for a package that it removed.
PYTHON_PCAP_VERSION = 1.3.0
PYTHON_PCAP_SOURCE = pypcap-$(PYTHON_PCAP_VERSION).tar.gz
# It comes as the payload's wheels do: by pip, checked by requirements/buildroot.txt.
PYTHON_PCAP_SITE = $(or $(ALLEGRO_PREPARED),$(BR2_EXTERNAL_ALLEGRO_PATH)/build/image/prepared)/sources
PYTHON_PCAP_SITE_METHOD = file
PYTHON_PCAP_LICENSE = BSD-3-Clause
PYTHON_PCAP_LICENSE_FILES = LICENSE
PYTHON_PCAP_SETUP_TYPE = setuptools
PYTHON_PCAP_DEPENDENCIES = host-python-cython libpcap
PYTHON_PCAP_ENV = PCAP_PREFIX=$(STAGING_DIR)/usr

# The C file that comes with it is made for older versions of Python.
define PYTHON_PCAP_CYTHON
	cd $(@D) && $(HOST_DIR)/bin/cython -2 pcap.pyx
endef
PYTHON_PCAP_PRE_BUILD_HOOKS += PYTHON_PCAP_CYTHON

$(eval $(python-package))
