# Rates across the boundary of the Tcl binding; see bench/swig.py.
package require karakp2p

set n [lindex $argv 0]
set quick {listen /ip4/127.0.0.1/tcp/0 kad.mode off}
karakp2p::Node create one $quick
one start
karakp2p::Node create two [list {*}$quick topic bench bootstrap [one addresses]]
two start
while {![string match {*"bench"*} [one peers]]} { after 10 }

proc rate {count script} {
	set start [clock microseconds]
	uplevel 1 $script
	return [expr {int($count * 1e6 / ([clock microseconds] - $start))}]
}

set publish [rate $n { for {set i 0} {$i < $n} {incr i} { one publish bench [format %-200d $i] } }]
while {[dict get [two stats] inbox_messages] < $n} { after 10 }
set single [rate $n { for {set i 0} {$i < $n} {incr i} { two recv } }]
puts "{\"publish\":$publish,\"recv\":$single,\"batch\":null}"
exit 0
