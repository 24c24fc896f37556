# SPDX-License-Identifier: GPL-2.0-only
# How the tools talk to the kernel module; included by CMakeLists.txt here.
pkg_check_modules(LIBNL REQUIRED IMPORTED_TARGET libnl-3.0 libnl-genl-3.0)
add_library(qtfs_netlink STATIC ${CMAKE_CURRENT_LIST_DIR}/netlink.cc
                                ${CMAKE_CURRENT_LIST_DIR}/qtfs_netlink.cc)
target_include_directories(qtfs_netlink PUBLIC ${CMAKE_SOURCE_DIR}
                                               ${CMAKE_SOURCE_DIR}/../include)
target_link_libraries(qtfs_netlink PRIVATE PkgConfig::LIBNL)
