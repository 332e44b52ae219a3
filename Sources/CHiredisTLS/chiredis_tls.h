// hiredis's TLS, which a package of hiredis may lack.

#pragma once

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>

// OpenSSL's (ERR_clear_error(3)); declared here, so that its headers are not needed.
void ERR_clear_error(void);
