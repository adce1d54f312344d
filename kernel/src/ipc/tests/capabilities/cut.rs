//! A client that is cut off by its badge, and those to whom its messages have brought what it had.
#![forbid(unsafe_code)]

use super::*;

const ALL: Rights = Rights::SEND.union(Rights::RECEIVE).union(Rights::GRANT);

/// What came by a message goes with its sender's; what another client has passed on the same way stays.
#[test]
fn what_a_client_has_sent_on_is_cut_off_with_it() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let (server, client) = (pair.server.clone(), pair.client.clone());
        let (_, root) = endpoint(&server);
        let handed = [7, 8].map(|badge| {
            transfer::copy(&server.table, root, (ALL, badge), &client.table, &client.quota).unwrap()
        });
        kernel.spawn(&server, 20, async move {
            let mut came = Vec::new();
            for _ in 0..2 {
                let (_, slots) = Operation::receive(receiver, 1).run(None).await.unwrap();
                came.extend(slots);
            }
            assert_eq!(came.iter().map(|slot| held(*slot).unwrap().2).collect::<Vec<_>>(), [7, 8]);
            let words = [root.bits(), 7, 0, 0];
            user::control(Syscall::CapabilityRevoke, words).await.unwrap();
            assert_eq!(held(came[0]).unwrap_err(), Error::StaleCapability);
            assert_eq!(held(came[1]).unwrap().2, 8);
            user::close(came[1]).await.unwrap();
        });
        let owner = client.clone();
        let sends = kernel.spawn(&client, 10, async move {
            for slot in handed {
                Operation::new(Syscall::Send, sender, &[slot], 0).run(None).await.unwrap();
            }
            let found = handed.map(|slot| owner.capability(slot).map(|it| it.badge));
            assert_eq!(found[0].as_ref().err(), Some(&Error::StaleCapability));
            assert_eq!(found[1], Ok(8));
        });
        kernel.run_until_idle();
        assert_eq!(sends.exit_reason(), WELL, "short cuts: {short_cuts}");
    }
}
