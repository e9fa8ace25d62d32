package ifneeded karakp2p 0.1.0 [list source [file join $dir karakp2p.tcl]]
