#!/bin/sh
# Stands in for the fence agent of machines with a controller of their own (fence-agents: fence_ipmilan): it asks the
# test's power switch, at the controller's address.
while read -r line; do
    case "$line" in
        action=*) action=${line#action=} ;;
        ip=*) ip=${line#ip=} ;;
    esac
done
case "$action" in
    metadata)
        echo '<?xml version="1.0"?>
<resource-agent name="fence_ipmilan" shortdesc="The power switch of a test">
<longdesc>The power switch of a test</longdesc>
<parameters><parameter name="ip" required="1"><content type="string"/></parameter></parameters>
<actions><action name="on"/><action name="off"/><action name="status"/><action name="monitor"/>
<action name="metadata"/></actions>
</resource-agent>' ;;
    off | status | monitor) exec curl --silent --fail --max-time 5 --output /dev/null "http://$ip:6230/$action" ;;
    *) exit 1 ;;
esac
