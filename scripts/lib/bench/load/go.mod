module airgap-bench-load

go 1.22
